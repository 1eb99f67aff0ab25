// What the stories stand on: a demo of their own, a browser, and telephones as processes.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { chromium } = createRequire(join(process.env.DIALROOM_BROWSER_TOOLS, "/"))("playwright-core");

export const executable = process.env.DIALROOM_BIN;
const pictures = join(process.env.DIALROOM_TEST_OUTPUT, "browser");
mkdirSync(pictures, { recursive: true });

// Longest that anything may take to appear; a story goes on the moment it has.
const PATIENCE_MS = 15_000;
const ports = { http: "127.0.0.1:0", sip: "127.0.0.1:0", control: "127.0.0.1:0", graph: "127.0.0.1:0", smtp: "127.0.0.1:0" };

const children = new Set();
process.on("exit", () => { for (const child of children) child.kill("SIGKILL"); });

// A process, what it said, and how it ended: its exit status, or the name of the signal.
export function start(file, args, options = {}) {
  const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  children.add(child);
  const run = { child, said: "" };
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece) => { run.said += piece; });
  run.ended = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => { children.delete(child); resolve(code ?? signal); });
  });
  return run;
}

// Asks until the answer is truthy, and gives it.
export async function until(what, ask) {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    assert.ok(performance.now() < deadline, `${what}: not within ${PATIENCE_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

export class Demo {
  static async start({ empty = false, file = executable, at = {} } = {}) {
    const listen = Object.entries({ ...ports, ...at }).flatMap(([name, address]) => [`--${name}`, address]);
    const demo = new Demo();
    demo.folder = mkdtempSync(join(tmpdir(), "dialroom-browser-"));
    demo.run = start(file, ["demo", "--data", demo.folder, ...listen, ...(empty ? ["--empty"] : [])]);
    let ended;
    demo.run.ended.then((how) => { ended = how; });
    await until("ready", () => {
      assert.equal(ended, undefined, `the demo ended: ${demo.run.said}`);
      return /^ready$/m.test(demo.run.said);
    });
    Object.assign(demo, demo.facts());
    return demo;
  }

  // What `demo.json` says at this moment.
  facts() {
    return JSON.parse(readFileSync(join(this.folder, "demo.json"), "utf8"));
  }

  async ask(method, url, body, token) {
    const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
    const answer = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${url}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  // The simulated calendars, as their people use them.
  calendar(method, path, body) {
    return this.ask(method, `${this.graph}/control/${path}`, body);
  }

  connector(method, path, body) {
    return this.ask(method, `${this.http}/api/v1/${path}`, body, this.api_token);
  }

  // All mails so far, as the page is told of them.
  async mailsAfter(n) {
    return (await this.ask("GET", `${this.http}/demo/state?mails_after=${n}`)).mails;
  }

  async stop() {
    this.run.child.kill("SIGINT");
    assert.equal(await this.run.ended, 0, `the demo ends cleanly: ${this.run.said}`);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const quietly = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

// Playwright gives every launch an empty folder of its own.
export const launch = () => chromium.launch({ executablePath: process.env.DIALROOM_CHROMIUM, args: quietly });

// A page, and everything about it that must not happen.
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const bad = [];
  const asked = [];
  page.setDefaultTimeout(PATIENCE_MS);
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) bad.push(`console: ${message.text()}`); });
  page.on("pageerror", (error) => bad.push(`error: ${error}`));
  page.on("dialog", (dialog) => { bad.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  context.on("request", (request) => asked.push(request.url()));
  return { context, page, bad, asked };
}

export const picture = (page, name, fullPage = true) => page.screenshot({ path: join(pictures, `${name}.png`), fullPage });

// Pixels that the page is wider than its window, and what sticks out.
export const overflow = (page) => page.evaluate(() => {
  const wide = document.documentElement.scrollWidth - innerWidth;
  const out = [...document.body.querySelectorAll("*")].filter((one) => one.getBoundingClientRect().right > innerWidth + 1);
  return wide > 0 ? `${wide} px: ${out.map((one) => one.outerHTML.slice(0, 120)).join("\n")}` : "";
});
