// `npm run fuzz -- --minutes 5 --seed 1`: the fuzzers of this folder for so long, from a seed of the clock's unless one is given.
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '5' }, seed: { type: 'string' } },
});
const env = {
  ...process.env,
  FUZZ_MINUTES: values.minutes,
  FUZZ_SEED: values.seed ?? String(Date.now() % 2 ** 31),
};
const vitest = new URL('../../../node_modules/vitest/vitest.mjs', import.meta.url).pathname;
const { status } = spawnSync(process.execPath, [vitest, 'run', 'bin/house/fuzz', '--maxWorkers=2'], {
  env,
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
