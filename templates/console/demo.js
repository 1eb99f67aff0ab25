"use strict";
// Everything that people wrote is put into text nodes: no name or subject can become markup.

const zone = "Europe/Berlin";
const clock = new Intl.DateTimeFormat("en-US", { timeZone: zone, weekday: "long", month: "long", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dayName = new Intl.DateTimeFormat("en-US", { timeZone: zone, weekday: "long", month: "long", day: "numeric" });
const hour = new Intl.DateTimeFormat("en-US", { timeZone: zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const exact = new Intl.DateTimeFormat("en-US", { timeZone: zone, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const find = (id) => document.getElementById(id);
let lastMail = 0, mailCount = 0, drawn = "", startTouched = false, ailing = false;

function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = text;
  if (className) element.className = className;
  return element;
}

function button(text, action) {
  const element = make("button", text);
  element.type = "button";
  element.addEventListener("click", action);
  return element;
}

function problem(text) {
  find("problem").textContent = text;
  find("problem").hidden = !text;
}

async function post(path, body) {
  try {
    const answer = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    const told = await answer.json().catch(() => ({}));
    problem(answer.ok ? "" : told.problem || "That did not work.");
  } catch {
    problem("The demo does not answer.");
  }
  await refresh();
}

// What the clock in Berlin shows at an instant, as the form field wants it; and back.
function wallClock(instant) {
  const part = Object.fromEntries(new Intl.DateTimeFormat("en-US", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).formatToParts(instant).map((one) => [one.type, one.value]));
  return `${part.year}-${part.month}-${part.day}T${part.hour}:${part.minute}`;
}

function instantOf(wall) {
  const guess = new Date(wall + "Z");
  const off = new Date(wallClock(guess) + "Z") - guess;
  return new Date(guess - off);
}

function drawMail(mail) {
  const entry = make("details");
  const summary = make("summary");
  summary.append(make("b", mail.to.join(", ")), ` ${mail.subject}`);
  const raw = make("a", "as it came (.eml)");
  raw.href = `/demo/mails/${mail.n}.eml`;
  const attached = mail.attachments.map((one) => `${one.name} (${one.kind}, ${one.bytes} bytes)`).join(", ");
  entry.append(summary, make("div", `${exact.format(new Date(mail.at))} from ${mail.from}`), make("pre", mail.text));
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
    find("mail-count").textContent = `(${mailCount})`;
  }
}

function drawLine(line, now) {
  const box = make("div");
  const next = line.windows.find((one) => one.state === "scheduled" && new Date(one.closes) > now);
  box.append(make("h3", line.title || "(no subject)"));
  if (!next) return null;
  const at = (time) => hour.format(new Date(time));
  const open = new Date(next.opens) <= now ? "is open now" : `opens ${dayName.format(new Date(next.opens))} ${at(next.opens)}`;
  box.append(make("p", `Room ${line.room}, PIN ${line.pin}. The line ${open}, closes ${at(next.closes)}.`));
  for (const one of line.dial) {
    const row = make("div", null, "command");
    row.append(make("span", one.who), make("code", one.command), button("copy", () => navigator.clipboard.writeText(one.command)));
    box.append(row);
  }
  return box;
}

function fill(id, children, empty) {
  find(id).replaceChildren(...(children.length ? children : [make("p", empty, "empty")]));
}

function drawLive(conference) {
  const box = make("div");
  box.append(make("h3", `${conference.title || "(no subject)"}, room ${conference.room}`));
  for (const one of conference.participants) {
    const role = one.moderator ? ", moderator" : "";
    box.append(make("div", `${one.name || one.caller || "somebody"}${role}, since ${exact.format(new Date(one.joined))}`));
  }
  return box;
}

function drawCall(call, titles) {
  const row = make("tr");
  const came = call.joined || call.answered;
  const title = call.conference ? titles.get(call.conference.booking) || `room ${call.room}` : "not let in";
  const reason = typeof call.end_reason === "string" ? call.end_reason : Object.keys(call.end_reason || {}).join();
  const cells = [call.name || call.caller || "withheld", title, exact.format(new Date(came)), exact.format(new Date(call.ended)), reason.replaceAll("-", " ")];
  row.append(...cells.map((text) => make("td", text)));
  return row;
}

function drawMeeting(event) {
  const row = make("div", null, "meeting");
  const marked = event.categories.some((one) => /^(telephone conference|telefonkonferenz)$/i.test(one)) || event.property || /@(dialroom|telefon)/i.test(event.location) || event.attendees.some((one) => one.type === "resource");
  const names = event.attendees.map((one) => one.name).join(", ");
  row.append(make("span", `${hour.format(new Date(event.start))}–${hour.format(new Date(event.end))}`), make("b", event.subject, marked ? "marked" : ""));
  row.append(make("span", `${event.organizer.name}${names ? " with " + names : ""}${marked ? " ☎" : ""}`));
  const date = event.series ? event.date : null;
  const path = `/demo/meetings/${encodeURIComponent(event.key)}`;
  const later = () => post(`${path}/move`, { start: new Date(new Date(event.start).getTime() + 30 * 60000).toISOString(), date });
  row.append(button("30 minutes later", later), button("delete", () => post(`${path}/delete`, { date })));
  return row;
}

function drawWeek(events) {
  const days = new Map();
  for (const event of events) {
    const day = dayName.format(new Date(event.start));
    if (!days.has(day)) days.set(day, make("div"));
    days.get(day).append(drawMeeting(event));
  }
  return [...days].map(([day, list]) => {
    const row = make("div", null, "day");
    row.append(make("span", day), list);
    return row;
  });
}

function draw(state) {
  const now = new Date(state.now);
  find("now").textContent = clock.format(now);
  if (!startTouched) document.forms.book.start.value = wallClock(new Date(state.soon));
  drawMails(state.mails);
  const shown = state.shown;
  // Redrawn only when something changed, so that a selection or a focus stays where it is.
  const look = JSON.stringify(shown) + hour.format(now);
  if (look === drawn) return;
  drawn = look;
  const lines = shown.lines.filter((one) => one.state === "active").map((one) => drawLine(one, now)).filter(Boolean);
  fill("lines", lines, "No meeting has a line yet.");
  fill("live", (shown.live || []).map(drawLive), "Nobody.");
  fill("week", drawWeek(shown.week || []), "No meetings in these seven days.");
  const titles = new Map(shown.lines.map((one) => [one.id, one.title || "(no subject)"]));
  find("calls").replaceChildren(...[...shown.calls].reverse().map((one) => drawCall(one, titles)));
  if (ailing || shown.problems.length) problem(shown.problems.join("; "));
  ailing = shown.problems.length > 0;
}

async function refresh() {
  try {
    const answer = await fetch(`/demo/state?mails_after=${lastMail}`);
    draw(await answer.json());
  } catch {
    problem("The demo does not answer.");
    [ailing, drawn] = [true, ""];
  }
}

async function keepFresh() {
  await refresh();
  setTimeout(keepFresh, 500);
}

document.forms.book.start.addEventListener("input", () => { startTouched = true; });
document.forms.book.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  await post("/demo/book", {
    subject: form.subject.value,
    organizer: form.organizer.value,
    attendees: form.attendees.value.split(/[\s,;]+/).filter(Boolean),
    start: instantOf(form.start.value).toISOString(),
    duration_minutes: Number(form.minutes.value),
    telephone: form.telephone.checked,
  });
  startTouched = false;
});
for (const element of document.querySelectorAll("[data-to]")) {
  element.addEventListener("click", () => post("/demo/clock", { to: element.dataset.to }));
}
keepFresh();
