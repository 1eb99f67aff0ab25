// Every kind of mail in both languages, as a mail program shows its HTML: nothing sticks out, nothing is fetched.

import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Demo, executable, launch, open, overflow, picture, start, until } from "./world.mjs";

let browser, demo, visited;

before(async () => {
  [browser, demo] = await Promise.all([launch(), Demo.start({ empty: true })]);
  visited = await open(browser);
});

after(async () => {
  await browser?.close();
  await demo?.stop();
});

// Anna and Clara read German, Bernd and David English.
const of = (names) => names.split(" ").map((name) => `${name}@contoso.example`);

// The text of the part of that kind, out of a MIME tree (RFC 2045) as deep as it may be.
function partOf(raw, kind) {
  const [head, body] = [raw.slice(0, raw.indexOf("\r\n\r\n")), raw.slice(raw.indexOf("\r\n\r\n") + 4)];
  const fields = head.replace(/\r\n[ \t]+/g, " ");
  const field = (name) => new RegExp(`^${name}: *(.*)$`, "im").exec(fields)?.[1] ?? "";
  const boundary = /boundary="?([^";]+)/i.exec(field("Content-Type"))?.[1];
  if (boundary) {
    const parts = body.split(`--${boundary}`).slice(1, -1).map((part) => part.replace(/^\r\n/, ""));
    return parts.map((part) => partOf(part, kind)).find(Boolean);
  }
  if (!field("Content-Type").startsWith(kind)) return undefined;
  const encoding = field("Content-Transfer-Encoding").toLowerCase();
  if (encoding === "base64") return Buffer.from(body, "base64").toString();
  if (encoding !== "quoted-printable") return Buffer.from(body, "latin1").toString();
  const bytes = body.replace(/=\r\n/g, "").replace(/=([0-9A-F]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1").toString();
}

// Does something, waits until every one of `readers` has a mail from it, and gives the HTML by reader.
async function mailsFrom(readers, act) {
  const last = (await demo.mailsAfter(0)).at(-1)?.n ?? 0;
  await act();
  const fresh = await until(`mails for ${readers}`, async () => {
    const mails = await demo.mailsAfter(last);
    return readers.every((reader) => mails.some((mail) => mail.to.includes(reader))) && mails;
  });
  return new Map(readers.map((reader) => {
    const { file } = fresh.find((mail) => mail.to.includes(reader));
    const name = readdirSync(demo.mails).find((one) => one === file);
    return [reader, partOf(readFileSync(join(demo.mails, name), "latin1"), "text/html")];
  }));
}

async function look(kind, mails) {
  const { page } = visited;
  for (const [reader, html] of mails) {
    assert.ok(html, `${kind} for ${reader} has HTML`);
    for (const width of [700, 390]) {
      await page.setViewportSize({ width, height: 800 });
      await page.setContent(html);
      const language = await page.evaluate(() => document.documentElement.lang);
      assert.equal(language, /anna|clara/.test(reader) ? "de" : "en", `${kind} for ${reader}`);
      assert.equal(await overflow(page), "", `${kind} for ${reader} at ${width} px`);
      assert.doesNotMatch(await page.locator("body").innerText(), /\{\{|\{%|undefined|null/);
      assert.ok((await page.locator("h1").innerText()).trim(), "it has a heading");
      await picture(page, `mail-${kind}-${language}-${reader.split("@")[0]}-${width}`);
    }
  }
  assert.deepEqual([visited.bad, visited.asked], [[], []]);
}

// A start that many minutes from the demo's now.
const inMinutes = (minutes) => new Date(Date.now() + minutes * 60_000).toISOString();
const long = "Quartalsabschluss mit Donaudampfschifffahrtsgesellschaftskapitänsbesprechung & <Budget>";
const meeting = (mailbox, start, more) => ({ mailbox: `${mailbox}@contoso.example`, subject: "Budget review", start, duration_minutes: 30, categories: ["Telephone conference"], ...more });

for (const [organizer, guests] of [["anna", "bernd clara"], ["bernd", "anna david"]]) {
  test(`a meeting of ${organizer}: booked, moved, its mark taken away`, async () => {
    const start = organizer === "anna" ? 1_000 : 3_000;
    let booked;
    const told = await mailsFrom(of(`${organizer} ${guests}`), async () => {
      booked = await demo.calendar("POST", "events", meeting(organizer, inMinutes(start), { subject: long, attendees: of(guests) }));
    });
    for (const [reader, html] of told) assert.match(html, /href="tel:\+49302312588,,\d+%23,,\d+%23"/, reader);
    const kinds = [...told].map(([reader, html]) => [reader.startsWith(organizer) ? "moderator-data" : "dial-in-data", new Map([[reader, html]])]);
    for (const [kind, mails] of kinds) await look(kind, mails);
    await look("changed", await mailsFrom(of(guests), () => demo.calendar("PATCH", `events/${booked.key}`, { start: inMinutes(start + 60) })));
    await look("line-closed", await mailsFrom(of(guests), () => demo.calendar("PATCH", `events/${booked.key}`, { categories: [] })));
  });
}

test("a series tells its dates", async () => {
  const day = new Date(Date.now() + 7 * 86_400_000).toISOString().slice(0, 10);
  const weekday = new Intl.DateTimeFormat("en-US", { weekday: "long", timeZone: "UTC" }).format(new Date(day)).toLowerCase();
  const series = meeting("david", `${day}T10:00:00`, { subject: "Weekly", attendees: of("bernd clara"), recurrence: { pattern: "weekly", days: [weekday], count: 20 } });
  const told = await mailsFrom(of("bernd clara"), () => demo.calendar("POST", "events", series));
  for (const html of told.values()) assert.ok(html.includes("<li>"));
  await look("series", told);
});

test("booked without a calendar, then canceled", async () => {
  const readers = of("anna bernd clara");
  const run = () => start(executable, ["book", "Review of the third quarter", "--organizer", "anna@contoso.example", "--attendees", "bernd@contoso.example,clara@contoso.example", "--start", "+300m", "--data", demo.folder]);
  let booking;
  await look("invitation", await mailsFrom(readers, async () => {
    booking = run();
    assert.equal(await booking.ended, 0, booking.said);
  }));
  const id = /Booked as (\S+)/.exec(booking.said)[1];
  await look("cancelled", await mailsFrom(readers.slice(1), () => demo.connector("DELETE", `conferences/${id}`)));
});

test("refused", async () => {
  const settings = readFileSync(demo.settings, "utf8");
  writeFileSync(demo.settings, settings.replace("[conference]", "[conference]\nenabled = false"));
  let tried = 0;
  for (const reader of of("anna bernd")) {
    // A meeting that is booked before the connector has seen the change still gets its line.
    await look("refused", await until(`a refusal for ${reader}`, async () => {
      const wanted = meeting(reader.split("@")[0], inMinutes(6_000 + 100 * tried++), { subject: "Budget review" });
      const told = await mailsFrom([reader], () => demo.calendar("POST", "events", wanted));
      return !told.get(reader).includes("tel:") && told;
    }));
  }
  writeFileSync(demo.settings, settings);
});
