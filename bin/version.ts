/** The version of this program, from the package.json it was installed with. */
import { existsSync, readFileSync } from 'node:fs';

/** Looks upwards from this module, which is in `bin/` in a checkout and in `dist/bin/` when built. */
export function version(): string {
  for (const up of ['..', '../..']) {
    const file = new URL(`${up}/package.json`, import.meta.url);
    if (existsSync(file)) return String(JSON.parse(readFileSync(file, 'utf8')).version);
  }
  return 'unknown';
}
