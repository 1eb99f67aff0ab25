"use strict";
// Everything that people wrote is put into text nodes: no name or subject can become markup.

const zone = "Europe/Berlin";
const dateFormat = (parts) => new Intl.DateTimeFormat("en-US", { timeZone: zone, hourCycle: "h23", ...parts });
const dayName = dateFormat({ weekday: "long", month: "long", day: "numeric" });
const hour = dateFormat({ hour: "2-digit", minute: "2-digit" });
const exact = dateFormat({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const wallParts = dateFormat({ year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" });
const find = (id) => document.getElementById(id);
const untitled = (title) => title || "(no subject)";
const inThrees = (pin) => pin.replace(/\d{3}(?=\d)/g, "$& ");
// How often the page asks; what lies between a mail and its sight is this at most.
const REFRESH_MS = 400;
// Mails that are listed at once; the style sheet hides the older ones.
const MAILS_LISTED = 8;
let run = null, lastMail = 0, mailCount = 0, startTouched = false, ailing = false;
const drawn = new Map();
// Meetings whose lines somebody has folded or unfolded by hand.
const unfolded = new Map();

// Marks of direction (Unicode UAX #9) turn around what stands beside them, and an unclosed isolate gets out of any element.
const straight = (text) => String(text).replace(/[\u202a-\u202e\u2066-\u2069]/g, "");

function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = straight(text);
  if (className) element.className = className;
  return element;
}

// Words of people: they may run from right to left, and nothing beside them turns with them.
const words = (text) => make("bdi", text);

// `meaning` says to whoever does not see the place what this button is for; it also finds the button again.
function button(text, meaning, action) {
  const element = make("button", text, "small");
  element.type = "button";
  element.title = straight(meaning);
  element.setAttribute("aria-label", element.title);
  element.addEventListener("click", action);
  return element;
}

function problem(text) {
  // Said anew it would be read out anew.
  if (find("problem").textContent === text) return;
  find("problem").textContent = text;
  find("problem").hidden = !text;
}

// Whether it was done; if not, the page says why.
async function post(path, body) {
  let done = false;
  try {
    const answer = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    const told = await answer.json().catch(() => ({}));
    done = answer.ok;
    problem(done ? "" : told.problem || "That did not work.");
  } catch {
    problem("The demo does not answer.");
  }
  await refresh();
  return done;
}

// What the clock in Berlin shows at an instant, as the form field wants it; and back.
function wallClock(instant) {
  const part = Object.fromEntries(wallParts.formatToParts(instant).map((one) => [one.type, one.value]));
  return `${part.year}-${part.month}-${part.day}T${part.hour}:${part.minute}`;
}

function instantOf(wall) {
  const guess = new Date(wall + "Z");
  const off = new Date(wallClock(guess) + "Z") - guess;
  return new Date(guess - off);
}

// A mail's text; its one-tap links can be tapped.
function letter(text) {
  const box = make("div", null, "letter");
  for (const piece of straight(text).replaceAll("\r\n", "\n").trim().split(/(tel:[+\d,%*#]+)/)) {
    if (!piece.startsWith("tel:")) {
      box.append(piece);
      continue;
    }
    const link = make("a", piece);
    link.href = piece;
    box.append(link);
  }
  return box;
}

function drawMail(mail) {
  const entry = make("details");
  const summary = make("summary");
  summary.append(make("b", mail.to.join(", ")), " ", words(untitled(mail.subject)));
  const raw = make("a", "the whole mail as it came (.eml)");
  raw.href = `/demo/mails/${mail.n}.eml`;
  const attached = mail.attachments.map((one) => `${one.name} (${one.kind}, ${one.bytes} bytes)`).join(", ");
  const from = make("div", `${exact.format(new Date(mail.at))}, from `, "quiet");
  from.append(words(mail.from));
  entry.append(summary, from, letter(mail.text));
  if (attached) entry.append(make("div", `Attached: ${attached}`));
  entry.append(raw);
  return entry;
}

function drawMails(mails) {
  for (const mail of mails) {
    if (mail.n <= lastMail) continue;
    if (mailCount === 0) find("mails").replaceChildren();
    find("mails").prepend(drawMail(mail));
    lastMail = mail.n;
    mailCount += 1;
    find("mail-count").textContent = `${mailCount}, newest first`;
    find("older").textContent = `show ${mailCount - MAILS_LISTED} older`;
    find("older").hidden = mailCount <= MAILS_LISTED || find("mails").classList.contains("all");
  }
}

async function copy(event, code) {
  const pressed = event.currentTarget;
  try {
    await navigator.clipboard.writeText(code.textContent);
    pressed.textContent = "copied";
  } catch {
    // No leave to write the clipboard: the whole line stands selected, ready for the keyboard.
    getSelection().selectAllChildren(code);
    pressed.textContent = "selected";
  }
  setTimeout(() => { pressed.textContent = "copy"; }, 2000);
}

function drawCommand(dial, title) {
  const row = make("div", null, "command");
  const code = make("code", dial.command);
  row.append(make("span", `as ${dial.who}`), code, button("copy", `Copy the line that calls as ${dial.who} for ${title}`, (event) => copy(event, code)));
  return row;
}

function drawLine({ line, next, open }, first) {
  const box = make("details");
  box.open = unfolded.get(line.id) ?? (open || first);
  const at = (time) => hour.format(new Date(time));
  const summary = make("summary");
  summary.addEventListener("click", () => unfolded.set(line.id, !box.open));
  const when = open ? "is open" : `opens ${dayName.format(new Date(next.opens))}, ${at(next.opens)}`;
  const title = make("b");
  title.append(words(untitled(line.title)));
  summary.append(title, ` The line ${when}, closes ${at(next.closes)}.`);
  box.append(summary, make("div", `Room ${line.room}, PIN ${inThrees(line.pin)}`), ...line.dial.map((one) => drawCommand(one, untitled(line.title))));
  return box;
}

// The meetings that still have a line, the nearest first.
function drawLines(lines, now) {
  const dated = lines.filter((one) => one.state === "active").map((line) => {
    const ahead = line.windows.filter((one) => one.state === "scheduled" && new Date(one.closes) > now);
    const next = ahead.sort((a, b) => new Date(a.opens) - new Date(b.opens))[0];
    return { line, next, open: next && new Date(next.opens) <= now };
  }).filter((one) => one.next).sort((a, b) => new Date(a.next.opens) - new Date(b.next.opens));
  return dated.map((one, n) => drawLine(one, n === 0));
}

function drawLive(conference) {
  const box = make("div");
  const title = make("h3");
  title.append(words(untitled(conference.title)), `, room ${conference.room}`);
  box.append(title);
  for (const one of conference.participants) {
    const role = one.moderator ? ", moderator" : "";
    const row = make("div");
    row.append(words(one.name || one.caller || "somebody"), `${role}, since ${exact.format(new Date(one.joined))}`);
    box.append(row);
  }
  return box;
}

const endings = {
  "caller-hung-up": "hung up",
  "window-closed": "the line closed",
  "cancelled": "the meeting was canceled",
  "wrong-entries": "three wrong entries",
  "no-entry": "keyed nothing",
  "full": "the room was full",
  "not-open": "the line was not open",
  "shutdown": "Dialroom was stopped",
};

function drawCall(call, titles) {
  const row = make("tr");
  const title = call.conference ? titles.get(call.conference.booking) || `room ${call.room}` : "not let in";
  const at = (time) => exact.format(new Date(time));
  const cells = {
    "Who": call.name || call.caller || "number withheld",
    "Conference": title,
    "Came": at(call.joined || call.answered),
    "Left": at(call.ended),
    "How it ended": endings[call.end_reason] || call.end_reason,
  };
  for (const [column, text] of Object.entries(cells)) {
    const cell = make("td");
    cell.dataset.column = column;
    cell.append(words(text));
    row.append(cell);
  }
  return row;
}

function hasLine(event) {
  return event.categories.some((one) => /^(telephone conference|telefonkonferenz)$/i.test(one)) || event.property || /@(dialroom|telefon)/i.test(event.location) || event.attendees.some((one) => one.type === "resource");
}

function drawMeeting(event) {
  const row = make("div", null, "meeting");
  const [subject, what, people, actions] = [make("b"), make("div"), make("span", null, "quiet"), make("div", null, "actions")];
  subject.append(words(untitled(event.subject)));
  const names = event.attendees.map((one) => one.name).join(", ");
  people.append(words(event.organizer.name), ...(names ? [" with ", words(names)] : []));
  what.append(subject, ...(hasLine(event) ? [" ", make("span", "telephone", "badge")] : []), make("br"), people);
  const date = event.series ? event.date : null;
  const path = `/demo/meetings/${encodeURIComponent(event.key)}`;
  const later = () => post(`${path}/move`, { start: new Date(new Date(event.start).getTime() + 30 * 60000).toISOString(), date });
  const name = untitled(event.subject);
  actions.append(button("30 minutes later", `Move ${name} 30 minutes later`, later), button("delete", `Delete ${name}`, () => post(`${path}/delete`, { date })));
  row.append(make("span", `${hour.format(new Date(event.start))}–${hour.format(new Date(event.end))}`), what, actions);
  return row;
}

function drawWeek(events) {
  const days = new Map();
  for (const event of events) {
    const day = dayName.format(new Date(event.start));
    if (!days.has(day)) {
      const box = make("div", null, "day");
      box.append(make("h3", day));
      days.set(day, box);
    }
    days.get(day).append(drawMeeting(event));
  }
  return [...days.values()];
}

// Draws a part anew only when what it shows has changed; the keyboard stays where it was.
function fill(id, look, draw, empty) {
  const text = JSON.stringify(look);
  if (drawn.get(id) === text) return;
  drawn.set(id, text);
  const part = find(id);
  const at = part.contains(document.activeElement) && document.activeElement.getAttribute("aria-label");
  const children = draw();
  part.replaceChildren(...(children.length || !empty ? children : [make("p", empty, "empty")]));
  if (at) [...part.querySelectorAll("button")].find((one) => one.getAttribute("aria-label") === at)?.focus();
}

function draw({ run: current, now: instant, soon, mails, shown }) {
  run ??= current;
  // The demo was started again and has forgotten all that stands here.
  if (run !== current) return location.reload();
  const now = new Date(instant);
  find("now").textContent = `${dayName.format(now)}, ${exact.format(now)}`;
  if (!startTouched) document.forms.book.start.value = wallClock(new Date(soon));
  drawMails(mails);
  fill("lines", [shown.lines, hour.format(now)], () => drawLines(shown.lines, now), "No meeting has a line yet.");
  fill("live", shown.live, () => (shown.live || []).map(drawLive), "Nobody.");
  fill("week", shown.week, () => drawWeek(shown.week || []), "No meetings in these seven days.");
  const titles = new Map(shown.lines.map((one) => [one.id, untitled(one.title)]));
  fill("calls", [shown.calls, [...titles]], () => [...shown.calls].reverse().map((one) => drawCall(one, titles)));
  find("no-calls").hidden = shown.calls.length > 0;
  document.querySelector("table").hidden = shown.calls.length === 0;
  if (ailing || shown.problems.length) problem(shown.problems.join("; "));
  ailing = shown.problems.length > 0;
}

async function refresh() {
  try {
    const answer = await fetch(`/demo/state?mails_after=${lastMail}`);
    draw(await answer.json());
  } catch {
    problem("The demo does not answer.");
    ailing = true;
  }
}

async function keepFresh() {
  await refresh();
  setTimeout(keepFresh, REFRESH_MS);
}

document.forms.book.start.addEventListener("input", () => { startTouched = true; });
document.forms.book.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const booked = find("booked");
  booked.textContent = "";
  const done = await post("/demo/book", {
    subject: form.subject.value,
    organizer: form.organizer.value,
    attendees: form.attendees.value.split(/[\s,;]+/).filter(Boolean),
    start: instantOf(form.start.value).toISOString(),
    duration_minutes: Number(form.minutes.value),
    telephone: form.telephone.checked,
  });
  if (!done) return;
  startTouched = false;
  booked.append("Booked: ", words(untitled(form.subject.value)), form.telephone.checked ? ". Its mails come under 2." : ". Without a line it gets no mails.");
});
for (const element of document.querySelectorAll("[data-to]")) {
  element.addEventListener("click", () => post("/demo/clock", { to: element.dataset.to }));
}
find("older").addEventListener("click", () => {
  find("mails").classList.add("all");
  find("older").hidden = true;
});
keepFresh();
