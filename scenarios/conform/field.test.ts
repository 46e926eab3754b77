/**
 * What people ran into with real VMMs, as cases (scenarios/data/README.md): the right outcome of each follows from the
 * source of Linux 6.1 or from the recordings' rules, and holds under nested and under shadow paging.
 */
import { describe, expect, test } from 'vitest';
import { createCoreMachine } from '../../engine/core/core-machine.ts';
import { PATCHES } from '../../strategies/index.ts';
import { loadText } from '../data/recordings.ts';
import { caseSchema } from './case.ts';
import { compareOutcomes } from './compare-outcomes.ts';
import { RECORDER_PATIENCE } from './conform.ts';
import { runCase } from './conform-case.ts';
import { RECORDED_KERNELS } from './kernels.ts';

const CASES = loadText('field-cases.jsonl')
  .trimEnd()
  .split('\n')
  .map((line) => caseSchema.parse(JSON.parse(line)));

describe.each(RECORDED_KERNELS.filter((k) => k.name === 'stock' || k.name === 'shadow'))(
  '$name',
  (kernel) => {
    const series = kernel.patches.map((name) => PATCHES.find((p) => p.name === name)!);

    test.each(CASES)('$id', (c) => {
      const options = { series, paging: kernel.paging, budget: RECORDER_PATIENCE, lives: 0 };
      const outcome = runCase(c, (vm) => createCoreMachine({ ...vm, ...options }));
      expect(outcome.unsupported).toBeUndefined();
      expect(compareOutcomes(c.id, kernel.name, c.expect.stock!, outcome)).toEqual([]);
    });
  },
);
