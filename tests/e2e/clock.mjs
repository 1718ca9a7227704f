// A clock of their own for the programs that a script starts (libfaketime), so that half an hour is over at once.

import { execFile } from "node:child_process";
import { rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";

// A clock in a file below `folder`. `env` is for who is to read it; `pass` sets it ahead by so many minutes more,
// `stopAt` lets it stand still. Only what says what time it is goes by it: what waits, waits as long as ever.
export async function clockIn(folder) {
  const { stdout } = await promisify(execFile)("faketime", ["-f", "+0", "printenv", "LD_PRELOAD"]);
  const file = path.join(folder, "clock");
  // Who reads it meanwhile reads the old one or the new one.
  const set = async (text) => {
    await writeFile(`${file}.new`, text);
    await rename(`${file}.new`, file);
  };
  let ahead = 0;
  const pass = (minutes) => set(`+${(ahead += minutes) * 60}`);
  const stopAt = (moment) => set(moment.toISOString().slice(0, 19).replace("T", " "));
  await pass(0);
  const env = { LD_PRELOAD: stdout.trim(), FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: "1", FAKETIME_DONT_FAKE_MONOTONIC: "1", NO_FAKE_STAT: "1", TZ: "UTC" };
  return { env, pass, stopAt };
}
