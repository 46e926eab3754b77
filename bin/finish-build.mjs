// The last step of `npm run build`: what tsc does not do. Makes the CLI executable and copies data files.
// The one argument is the folder that was built, `dist/` when absent.
import { chmodSync, cpSync, existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const dist = process.argv[2] ? pathToFileURL(process.argv[2]) : new URL('../dist/', import.meta.url);
const cli = new URL('bin/compare.js', dist);
if (existsSync(cli)) chmodSync(cli, 0o755);
for (const data of ['scenarios/data', 'engine/core/batch/c']) {
  const from = new URL(`../${data}`, import.meta.url);
  if (existsSync(from)) {
    cpSync(from, new URL(data, dist), { recursive: true, filter: (path) => !path.endsWith('.ts') });
  }
}
