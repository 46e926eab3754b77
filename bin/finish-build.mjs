// The last step of `npm run build`: what tsc does not do. Makes the CLI executable and copies data files.
import { chmodSync, cpSync, existsSync } from 'node:fs';

const cli = new URL('../dist/bin/compare.js', import.meta.url);
if (existsSync(cli)) chmodSync(cli, 0o755);
for (const data of ['scenarios/data', 'engine/core/bench/c']) {
  const from = new URL(`../${data}`, import.meta.url);
  if (existsSync(from)) cpSync(from, new URL(`../dist/${data}`, import.meta.url), { recursive: true });
}
