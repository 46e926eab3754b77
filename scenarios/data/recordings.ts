/**
 * Loads the recordings that come with the program: the one place in this room that reads files. They lie in
 * `data/` beside this module.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** A recording as text, unpacked. `name` is a file of `data/`. */
export function loadText(name: string): string {
  return gunzipSync(readFileSync(new URL(`./${name}`, import.meta.url))).toString('latin1');
}
