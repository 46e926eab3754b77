/** An engine that sees exits, registers and memory only: what it cannot observe is a dash with a footnote, never a 0. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { readComparison } from '../bin/input/comparison-file.ts';
import { createCoreMachine } from '../engine/core/core-machine.ts';
import type { Machine } from '../engine/machine.ts';
import { findScenario } from '../scenarios/index.ts';
import { brokenClaims, type Comparison, NOT_OBSERVABLE } from '../scenarios/run/comparison.ts';
import { compare, type MachineRequest } from '../scenarios/run/runner.ts';
import { findStrategy } from '../strategies/index.ts';
import { type Format, RENDERERS } from './index.ts';

/** The core with its eyes shut: what a real kernel would tell. */
const outside = ({ series, paging, budget }: MachineRequest): Machine =>
  Object.assign(createCoreMachine({ series, paging, budget }), {
    engine: 'qemu' as const,
    observes: new Set(),
    observe: () => ({}),
    life: () => [],
  });

let c: Comparison;
beforeAll(async () => {
  c = await compare({
    scenarios: [findScenario('rom-write')!, findScenario('fault-storm')!],
    strategies: [findStrategy('readonly-memslot')!, findStrategy('mmap-prot-read')!],
    paging: 'npt',
    seed: 1,
    params: {},
    version: '0',
    command: 'compare',
    createMachine: outside,
  });
});

const render = async (format: Format): Promise<string> => await RENDERERS[format](c);

test('fates and exits are as on the core, and claims about faults are neither held nor broken', () => {
  expect(c.runs.map((r) => r.fate)).toEqual(['ok', 'efault', 'ok', 'ok']);
  expect(c.runs[0]?.exits['mmio-write']).toBe(256);
  expect(c.runs.every((r) => r.faults === undefined && r.steps === undefined && r.digest === undefined)).toBe(
    true,
  );
  expect(brokenClaims(c)).toEqual([]);
  const unseen = c.runs.flatMap((r) => r.claims).filter((x) => x.holds === NOT_OBSERVABLE);
  expect(unseen.map((x) => x.claim)).toEqual(
    expect.arrayContaining([expect.stringMatching(/^faults\.fixed/)]),
  );
});

test.each(['table', 'md', 'html'] as const)('%s says so', async (format) => {
  const printed = await render(format);
  expect(printed).toMatch(/not\s+observable on engine\s+qemu/);
  // The report's script has words of its own.
  expect(printed.replace(/<script>.*<\/script>/s, '')).not.toMatch(/undefined|NaN/);
});

test('CSV has no row for what was not seen; KTAP and JUnit count no such claim as passed or failed', async () => {
  expect(await render('csv')).not.toMatch(/,faults,|,steps\.|,digest,|undefined/);
  expect(await render('csv')).toMatch(/claim\.faults\.fixed[^\n]*not observable/);
  expect(await render('ktap')).not.toMatch(/not ok/);
  expect(await render('junit')).toMatch(/failures="0"/);
});

test('it comes back from a file as it was', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'faultline-'));
  const file = join(folder, 'c.json');
  await writeFile(file, await render('json'));
  expect(await readComparison(file, folder)).toEqual(c);
  await rm(folder, { recursive: true });
});
