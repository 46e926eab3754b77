/** A user's own modules: what is wrong with them is said in one line, before anything runs. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SCENARIOS } from '../../scenarios/index.ts';
import { PATCHES, STRATEGIES } from '../../strategies/index.ts';
import * as modules from './user-modules.ts';

const loadScenario = (path: string, cwd: string) => modules.loadScenario(path, cwd, SCENARIOS);
const loadStrategy = (path: string, cwd: string, patches: typeof PATCHES) =>
  modules.loadStrategy(path, cwd, patches, STRATEGIES);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faultline-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let number = 0;
/** Writes a module and returns its path. */
async function module(text: string): Promise<string> {
  const path = `./m${number++}.mjs`;
  await writeFile(join(folder, path), text);
  return path;
}

const STRATEGY = `{ name: 'mine', cover: 'Mine.', source: 'me',
  layout: { backing: 'shm', shared: true, prot: 1, slotFlags: 0 }, series: [SERIES] }`;
const strategyWith = (series: string): Promise<string> =>
  module(`export default ${STRATEGY.replace('SERIES', series)}`);
const patch = (body: string): string => `{ name: 'p', subject: 's', source: 'me', apply: () => (${body}) }`;

describe('a strategy', () => {
  test('is taken, with patches by name and of its own', async () => {
    const path = await strategyWith(`'judge-vma-by-access', ${patch('{ handleBadPage: () => 1 }')}`);
    const strategy = await loadStrategy(path, folder, PATCHES);
    expect(strategy.series.map((p) => p.name)).toEqual(['judge-vma-by-access', 'p']);
  });

  test.each([
    ['3', /not a strategy/],
    [`{ ...${STRATEGY.replace('SERIES', '')}, layout: { backing: 'tape' } }`, /layout\.backing: /],
    [
      STRATEGY.replace('SERIES', "'judge-vma'"),
      /no patch is called 'judge-vma'. Did you mean judge-vma-by-access\?/,
    ],
    [STRATEGY.replace('SERIES', patch('3')), /patch p: apply\(\) has to return an object/],
    [STRATEGY.replace('SERIES', patch('{ gupFaild: () => 0 }')), /no decision is called 'gupFaild'/],
    [STRATEGY.replace('SERIES', patch('{ gupFailed: 3 }')), /gupFailed has to be a function/],
    [STRATEGY.replace('SERIES', patch('{ gupFailed: () => undefined }')), /gupFailed\(\) answers undefined/],
    [
      STRATEGY.replace('SERIES', patch('{ gfnToHva: () => 3 }')),
      /gfnToHva\(\) answers 3, not one of 0, 1, 2/,
    ],
    [STRATEGY.replace('SERIES', patch('{ gupFailed: () => 7 }')), /gupFailed\(\) answers 7, not one of /],
    [STRATEGY.replace('SERIES', patch('{ handleBadPage: () => -1 }')), /handleBadPage\(\) answers -1, /],
    [
      STRATEGY.replace('SERIES', patch('{ reexecuteInstruction: () => 1 }')),
      /reexecuteInstruction\(\) answers 1, not one of true, false, for the facts '/,
    ],
    [
      STRATEGY.replace('SERIES', patch('{ handleEmulationFailure: () => true }')),
      /handleEmulationFailure\(\) answers true, not one of 0, 1, 2, for the facts '/,
    ],
    // An answer that is odd for one word only, and for one of the questions that are asked about it.
    [
      STRATEGY.replace('SERIES', patch('{ gupFailed: (f, nowait) => (f.sigbus && !nowait ? 9 : 2) }')),
      /gupFailed\(\) answers 9, .* for the facts '[a-z_. ]*sigbus[a-z_. ]*'/,
    ],
    [
      STRATEGY.replace('SERIES', patch('{ reexecuteInstruction: (f, pfn) => (pfn === 4 ? 0 : true) }')),
      /reexecuteInstruction\(\) answers 0, /,
    ],
    [STRATEGY.replace('SERIES', patch('{ gfnToHva: (f) => f.x.y }')), /gfnToHva\(\) throws 'Cannot read/],
    [STRATEGY.replace('SERIES', patch('oops')), /apply\(\) threw: oops is not defined/],
  ])('%s is refused', async (text, says) => {
    const path = await module(`export default ${text}`);
    await expect(loadStrategy(path, folder, PATCHES)).rejects.toThrow(says);
    await expect(loadStrategy(path, folder, PATCHES)).rejects.toThrow(`--strategy ${path}: `);
  });
});

describe('a module', () => {
  test.each([
    ['export default {', /cannot be loaded: /],
    ["throw new Error('no\\nway')", /cannot be loaded: Error: no$/],
    ["import './nowhere.mjs'", /cannot be loaded: /],
    ['export const other = 1', /exports no strategy/],
    ['', /exports no strategy/],
  ])('%s is refused', async (text, says) => {
    await expect(loadStrategy(await module(text), folder, PATCHES)).rejects.toThrow(says);
  });
});

describe('a scenario', () => {
  const scenario = (memory: string): string => `export const scenario = { name: 'mine', asks: 'What?',
    operation: 'store', source: 'me', memory: ${memory}, guest(g) { g.halt(); }, operations: () => 0, claims: () => ({}) }`;

  test('is taken', async () => {
    const path = await module(scenario("{ bios: { kind: 'rom', at: 0xf0000, bytes: 0x1000 } }"));
    expect((await loadScenario(path, folder)).name).toBe('mine');
  });

  test.each([
    [
      "{ a: { kind: 'rom', at: 0xf0000, bytes: 0x2000 }, b: { kind: 'ram', at: 0xf1000, bytes: 0x1000 } }",
      /regions 'a' and 'b' overlap at 0xf1000/,
    ],
    ["{ a: { kind: 'rom', at: 0xf0001, bytes: 0x1000 } }", /not made of whole pages/],
    ["{ a: { kind: 'cdrom', at: 0, bytes: 0x1000 } }", /memory\.a\.kind: /],
  ])('%s is refused', async (memory, says) => {
    await expect(loadScenario(await module(scenario(memory)), folder)).rejects.toThrow(says);
  });
});
