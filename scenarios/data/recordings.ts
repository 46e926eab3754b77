/**
 * Loads the recordings that come with the program: the one place in this room that reads files. They lie in
 * `data/` beside this module.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** A recording as text, unpacked if it is packed. `name` is a file of `data/`. */
export function loadText(name: string): string {
  const bytes = readFileSync(new URL(`./${name}`, import.meta.url));
  return (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('latin1');
}
