// A newcomer's way through the demo page, from the form to the list of who was in.

import assert from "node:assert/strict";
import { linkSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Demo, executable, launch, open, overflow, picture, start, until } from "./world.mjs";

let browser, demo;

before(async () => {
  [browser, demo] = await Promise.all([launch(), Demo.start()]);
});

after(async () => {
  await browser?.close();
  await demo?.stop();
});

const letter = (page, subject, address) => page.locator("#mails details").filter({ hasText: subject }).filter({ has: page.locator("summary b", { hasText: address }) }).first();
const meeting = (page, subject) => page.locator(".meeting").filter({ hasText: subject });
const line = (page, subject) => page.locator("#lines details").filter({ has: page.locator("summary", { hasText: subject }) });

async function visit(options) {
  const visited = await open(browser, options);
  await visited.page.goto(`${demo.http}/`);
  await visited.page.locator(".meeting").first().waitFor();
  return visited;
}

async function book(page, subject, telephone = true) {
  await page.getByLabel("Subject").fill(subject);
  await page.getByLabel("with a telephone line").setChecked(telephone);
  await page.getByRole("button", { name: "Book", exact: true }).click();
  await meeting(page, subject).waitFor();
}

// Nothing that must not happen has happened, and nobody but the demo was asked.
function assertQuiet({ bad, asked }) {
  assert.deepEqual(bad, []);
  assert.ok(asked.length > 0);
  assert.deepEqual(asked.filter((url) => new URL(url).origin !== demo.http), []);
}

test("a newcomer books, reads the mails, dials in, and sees who was in", async () => {
  const visited = await visit();
  const { page } = visited;
  assert.ok(await meeting(page, "Planning").isVisible(), "the week is there before anything is booked");
  await picture(page, "1-arrived-1280");

  assert.equal(await page.getByLabel("Subject").inputValue(), "Budget review");
  assert.equal(await page.getByLabel("Organizer").inputValue(), "anna@contoso.example");
  const took = await page.evaluate(() => new Promise((resolve) => {
    const mails = document.getElementById("mails");
    // The week's own mails may still be on their way.
    const theirs = () => [...mails.querySelectorAll("details")].filter((mail) => mail.textContent.includes("Budget review"));
    const clicked = performance.now();
    new MutationObserver(() => {
      if (theirs().length >= 4) resolve(performance.now() - clicked);
    }).observe(mails, { childList: true });
    document.querySelector("#book button").click();
  }));
  console.log(`figure: from the click on Book to the fourth mail shown: ${took.toFixed(0)} ms`);
  assert.ok(took < 2_000, `${took} ms`);
  for (const address of ["anna@contoso.example", "bernd@contoso.example", "clara@contoso.example", "eva@fabrikam.example"]) {
    assert.equal(await page.locator("#mails details").filter({ hasText: "Budget review" }).filter({ has: page.locator("summary b", { hasText: address }) }).count(), 1, `one mail for ${address}`);
  }

  const evas = letter(page, "Budget review", "eva@fabrikam.example");
  await evas.locator("summary").click();
  const read = await evas.innerText();
  const [, room, pin] = /(?:room|Raum) (\d+), PIN ([\d ]+)\./i.exec(read) ?? assert.fail(read);
  assert.match(read, /\+49 30 23125 88/);
  assert.match(read, /(?:line opens at|Einwahl ab) \d+:\d\d/);
  assert.match(read, /invite\.ics \(application\/ics, \d+ bytes\)/);
  assert.equal(await evas.locator("a[href^='tel:']").getAttribute("href"), `tel:+49302312588,,${room}%23,,${pin.replaceAll(" ", "")}%23`);
  const annas = letter(page, "Budget review", "anna@contoso.example");
  await annas.locator("summary").click();
  const hers = await annas.innerText();
  const [, moderatorPin] = /Moderator-PIN ([\d ]+)\./.exec(hers) ?? assert.fail(hers);
  assert.notEqual(moderatorPin, pin);
  assert.ok(!read.includes(moderatorPin), "the moderator PIN is Anna's alone");
  assert.ok(!hers.includes("invite.ics"));

  await until("an open line", async () => (await line(page, "Budget review").innerText()).includes("The line is open"));
  assert.ok((await page.locator("#lines details").first().innerText()).includes("Budget review"), "the nearest line stands first");
  const command = await line(page, "Budget review").locator(".command").filter({ hasText: "Bernd Brandt" }).locator("code").innerText();
  const phone = start("sh", ["-c", command]);
  await page.locator("#live").getByText(/Bernd Brandt, since/).waitFor();
  const guest = await line(page, "Budget review").locator(".command").filter({ hasText: "guest" }).locator("code").innerText();
  assert.ok(guest.includes(`--keys '${room}#${pin.replaceAll(" ", "")}#'`), guest);
  const evasPhone = start("sh", ["-c", guest]);
  await until("both are in", async () => (await page.locator("#live").innerText()).match(/since/g)?.length === 2);
  await picture(page, "2-talking-1280");

  await page.getByRole("button", { name: "two minutes before the line closes" }).click();
  await until("time has passed", async () => {
    const closes = /closes (\d\d:\d\d)/.exec(await line(page, "Budget review").innerText())[1];
    const [hours, minutes] = closes.split(":").map(Number);
    const [, nowHours, nowMinutes] = /, (\d\d):(\d\d):/.exec(await page.locator("#now").innerText()).map(Number);
    return (hours * 60 + minutes - nowHours * 60 - nowMinutes + 1440) % 1440 <= 3;
  });
  assert.match(await page.locator("#live").innerText(), /Bernd Brandt, since/);
  await page.getByRole("button", { name: "the line closes", exact: true }).click();
  await page.locator("#calls tr").filter({ hasText: "Bernd Brandt" }).waitFor();
  const row = await page.locator("#calls tr").filter({ hasText: "Bernd Brandt" }).locator("td").allInnerTexts();
  assert.equal(row[1], "Budget review");
  assert.match(row[2], /^\d\d:\d\d:\d\d$/);
  assert.match(row[3], /^\d\d:\d\d:\d\d$/);
  assert.ok(row[2] < row[3] || row[3] < "01:00:00", `${row[2]} before ${row[3]}`);
  assert.equal(row[4], "the line closed");
  await page.locator("#calls tr").nth(1).waitFor();
  await page.locator("#live").getByText("Nobody.").waitFor();
  assert.equal(await phone.ended, 0, phone.said);
  assert.equal(await evasPhone.ended, 0, evasPhone.said);
  await picture(page, "3-closed-1280");
  assert.equal(await page.locator("#lines details[open]").count(), 1, "the nearest line is unfolded, the others are not");
  assertQuiet(visited);
  await visited.context.close();
});

test("a meeting moves and is deleted", async () => {
  const visited = await visit();
  const { page } = visited;
  await book(page, "Wandering meeting");
  await letter(page, "Wandering meeting", "anna@").waitFor();
  const times = () => meeting(page, "Wandering meeting").locator("span").first().innerText();
  const [was, mails] = [await times(), await page.locator("#mails details").count()];
  await page.getByRole("button", { name: "Move Wandering meeting 30 minutes later" }).focus();
  await page.keyboard.press("Enter");
  await until("the move shows", async () => (await times()) !== was);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "30 minutes later", "the keyboard stays where it was");
  await until("those concerned are told", async () => (await page.locator("#mails details").count()) >= mails + 4);
  await page.getByRole("button", { name: "Delete Wandering meeting" }).click();
  await meeting(page, "Wandering meeting").waitFor({ state: "detached" });
  await line(page, "Wandering meeting").waitFor({ state: "detached" });
  assertQuiet(visited);
  await visited.context.close();
});

test("a meeting without the mark gets no line", async () => {
  const visited = await visit();
  const { page } = visited;
  await book(page, "Quiet hour", false);
  await book(page, "Loud hour");
  await line(page, "Loud hour").waitFor();
  assert.equal(await line(page, "Quiet hour").count(), 0);
  assert.equal(await page.locator("#mails details").filter({ hasText: "Quiet hour" }).count(), 0);
  assertQuiet(visited);
  await visited.context.close();
});

test("a hostile title is text and nothing else", async () => {
  const visited = await visit();
  const { page } = visited;
  const title = "<img src=x onerror=alert(1)>\u202Egnp.\u2066 {{ 7*7 }} <script>alert(2)</script>";
  await page.getByLabel("Subject").fill(title);
  await page.getByRole("button", { name: "Book", exact: true }).click();
  const hostile = letter(page, "onerror", "eva@");
  await hostile.waitFor();
  await hostile.locator("summary").click();
  await line(page, "onerror").waitFor();
  assert.ok((await meeting(page, "onerror").innerText()).includes("<img src=x onerror=alert(1)>"));
  assert.ok((await hostile.innerText()).includes("<img src=x onerror=alert(1)>"));
  assert.equal(await page.locator("img, main script, iframe").count(), 0);
  // An override behind which an isolate stays open gets out of <bdi>: such marks are not shown at all.
  assert.doesNotMatch(await page.locator("main").innerText(), /[\u202a-\u202e\u2066-\u2069]/);
  assert.equal(await meeting(page, "onerror").locator("bdi").first().evaluate((one) => getComputedStyle(one).unicodeBidi), "isolate");
  await picture(page, "4-hostile-1280");
  await page.getByRole("button", { name: /^Delete <img/ }).click();
  await line(page, "onerror").waitFor({ state: "detached" });
  assertQuiet(visited);
  await visited.context.close();
});

test("what cannot be booked is told in words", async () => {
  const visited = await visit();
  const { page } = visited;
  await page.route("**/demo/book", (route) => route.fulfill({ status: 400, contentType: "application/json", body: JSON.stringify({ problem: "no: <b>never</b>" }) }));
  await page.getByRole("button", { name: "Book", exact: true }).click();
  await page.getByRole("alert").getByText("no: <b>never</b>").waitFor();
  assert.equal(await page.locator("#booked").innerText(), "");
  await visited.context.close();
});

test("the page is the demo's own, small, and soon there", async () => {
  const { context, page, bad, asked } = await open(browser);
  const sizes = new Map();
  page.on("response", async (answer) => {
    const path = new URL(answer.url()).pathname;
    if (/^\/demo(\/\w+\.(css|js|svg))?$/.test(path)) sizes.set(path, (await answer.body()).length);
  });
  const answer = await page.goto(`${demo.http}/demo`);
  const headers = answer.headers();
  assert.match(headers["content-security-policy"], /default-src 'none'/);
  assert.match(headers["content-security-policy"], /script-src 'self'/);
  assert.doesNotMatch(headers["content-security-policy"], /unsafe|\*/);
  assert.equal(headers["x-content-type-options"], "nosniff");
  await page.locator(".meeting").first().waitFor();
  const paint = await until("the first paint", () => page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime));
  const data = await page.evaluate(() => performance.getEntriesByType("resource").find((one) => one.name.includes("/demo/state")).responseEnd);
  await until("all parts", () => sizes.has("/demo") && sizes.has("/demo/style.css") && sizes.has("/demo/script.js"));
  const total = [...sizes.values()].reduce((sum, one) => sum + one, 0);
  console.log(`figure: demo page: first paint ${paint.toFixed(0)} ms, data there after ${data.toFixed(0)} ms, ${total} bytes (${[...sizes].map(([path, bytes]) => `${path} ${bytes}`).join(", ")})`);
  assert.ok(paint < 2_000, `${paint} ms`);
  assert.ok(total < 50_000, `${total} bytes`);
  assertQuiet({ bad, asked });
  await context.close();
});

test("nothing sticks out, wide or narrow, light or dark", async () => {
  for (const width of [1280, 390]) {
    for (const colorScheme of ["light", "dark"]) {
      const { context, page, bad } = await visit({ viewport: { width, height: 844 }, colorScheme });
      await page.locator("#mails summary").first().click();
      await page.locator("#mails summary").nth(1).click();
      await page.locator("#lines summary").last().click();
      assert.equal(await overflow(page), "", `${width} px`);
      await picture(page, `5-page-${width}-${colorScheme}`);
      assert.deepEqual(bad, []);
      await context.close();
    }
  }
});

test("every field has its label, and the keyboard reaches all and shows where it is", async () => {
  const { context, page } = await visit();
  const bare = await page.evaluate(() => [...document.querySelectorAll("input, select, textarea")].filter((one) => !one.labels.length || !one.labels[0].innerText.trim()).map((one) => one.name));
  assert.deepEqual(bare, []);
  const reached = new Set();
  await page.getByLabel("Subject").focus();
  for (let presses = 0; presses < 80 && !reached.has("before it opens"); presses += 1) {
    const { name, outline } = await page.evaluate(() => {
      const one = document.activeElement;
      return { name: one.name || one.innerText, outline: getComputedStyle(one).outlineStyle };
    });
    assert.notEqual(outline, "none", `${name} shows no focus`);
    reached.add(name);
    await page.keyboard.press("Tab");
  }
  for (const name of ["subject", "organizer", "attendees", "start", "minutes", "telephone", "Book", "30 minutes later", "delete", "copy", "before it opens"]) {
    assert.ok(reached.has(name), `${name} is not reached: ${[...reached].join(" | ")}`);
  }
  await context.close();
});

test("a line to dial is copied as a whole", async () => {
  const { context, page } = await visit({ permissions: ["clipboard-read", "clipboard-write"] });
  const first = page.locator("#lines .command").first();
  await first.getByRole("button").click();
  await first.getByText("copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await first.locator("code").innerText());
  await context.close();
});

test("a page left open says when the demo is gone, and begins afresh with the next one", async () => {
  const subject = (title) => ({ mailbox: "anna@contoso.example", subject: title, start: new Date(Date.now() + 3_600_000).toISOString(), duration_minutes: 30, categories: ["Telephone conference"], attendees: ["bernd@contoso.example"] });
  const first = await Demo.start({ empty: true });
  const { context, page } = await open(browser);
  await page.goto(`${first.http}/demo`);
  await first.calendar("POST", "events", subject("Of the first run"));
  await letter(page, "Of the first run", "anna@").waitFor();
  await first.stop();
  await page.getByRole("alert").getByText("The demo does not answer.").waitFor();
  const second = await Demo.start({ empty: true, at: { http: new URL(first.http).host } });
  await second.calendar("POST", "events", subject("Of the second run"));
  await letter(page, "Of the second run", "anna@").waitFor();
  assert.equal(await page.getByText("Of the first run").count(), 0);
  assert.ok(await page.getByRole("alert").isHidden());
  await context.close();
  await second.stop();
});

test("a program replaced while the demo runs is still found by the name it has", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dialroom-upgrade-"));
  const file = join(folder, "dialroom");
  const place = () => {
    try {
      linkSync(executable, file);
    } catch {
      copyFileSync(executable, file);
    }
  };
  place();
  const upgraded = await Demo.start({ file });
  rmSync(file);
  place();
  const { mixer } = upgraded.facts().pids;
  process.kill(mixer, "SIGKILL");
  await until("the mixer runs again", () => ![mixer, 0, undefined].includes(upgraded.facts().pids.mixer));
  const { shown } = await until("lines", async () => {
    const state = await upgraded.ask("GET", `${upgraded.http}/demo/state`);
    return state.shown.lines.length && state;
  });
  assert.ok(shown.lines[0].dial[0].command.startsWith(`${file} phone `), shown.lines[0].dial[0].command);
  await upgraded.stop();
  rmSync(folder, { recursive: true, force: true });
});
