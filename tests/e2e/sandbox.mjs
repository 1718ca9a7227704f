// A workspace of a script's own: a sandbox that it changes, and the archive that is made of it and served.

import { execFile, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import readline from "node:readline";

export const PASSWORD = "correct horse battery";

// Starts the program and waits for its first line of JSON. `heard`, where it is given, gets all that it says.
async function start(binary, args, env, heard) {
  const child = spawn(binary, args, { env, stdio: ["ignore", "pipe", heard ? "pipe" : "inherit"] });
  for (const stream of heard ? [child.stdout, child.stderr] : []) stream.on("data", (chunk) => heard.push(String(chunk)));
  const lines = readline.createInterface({ input: child.stdout });
  for await (const line of lines) {
    child.stdout.resume();
    return { child, ready: JSON.parse(line) };
  }
  throw new Error(`${args[0]} ended before it was ready`);
}

// Asks it to end, and waits until it has.
export async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once("exit", done));
  child.kill();
  await ended;
}

// A server to crawl: `ask` asks a method of its API, `control` changes what is there.
export async function startSandbox(binary, ...more) {
  const { child, ready } = await start(binary, ["sandbox", "--json", "--control", "--listen", "127.0.0.1:0", ...more], process.env);
  const ask = async (method) => (await fetch(`${ready.url}${method}?token=${ready.token}`)).json();
  const control = async (what, body) => {
    const answer = await fetch(new URL(`/_control/${what}`, ready.url), { method: "POST", body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${what}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  return { child, url: ready.url, username: ready.username, password: ready.password, ask, control };
}

// An archive below `folder`: `run` runs a command on it and gives what it said, `serve` serves it. `more` stands in the
// environment of both.
export function archiveIn(binary, folder, more = {}) {
  const env = { ...process.env, TEAMCHAT_ARCHIVE_KEYS_DIR: path.join(folder, "keys"), ...more };
  const place = ["--archive", path.join(folder, "archive")];
  const secret = path.join(folder, "password");
  // `statuses` are those with which it may end.
  const run = (args, statuses = [0]) =>
    new Promise((done, failed) => {
      const child = execFile(binary, [...place, ...args], { env, maxBuffer: 64 << 20 }, (_, said, errors) => {
        if (statuses.includes(child.exitCode)) done(said);
        else failed(new Error(`${args[0]}: ${child.exitCode}: ${errors}`));
      });
    });
  const enrol = async (url, { username, password }) => {
    await writeFile(secret, password);
    await run(["init", "--server", url]);
    await run(["login", "--username", username, "--password-file", secret]);
  };
  const admit = async (name, role, ...more) => {
    await writeFile(secret, PASSWORD);
    await run(["user", "add", name, "--role", role, "--password-file", secret, ...more]);
  };
  const serve = async (args = [], heard = undefined) => {
    const { child, ready } = await start(binary, [...place, "serve", "--listen", "127.0.0.1:0", "--json", ...args], env, heard);
    return { child, origin: new URL(ready.url).origin, setup: ready.setup_url };
  };
  return { run, enrol, admit, serve };
}
