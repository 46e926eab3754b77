/** `--vmm`: the same strategies answered by the VMMs people run. */
import { describe, expect, test } from 'vitest';
import { VMMS } from '../strategies/index.ts';
import { runCli } from './testing.ts';

const probe = (vmm: string) =>
  runCli([
    '--scenario',
    'romd-probe',
    '--strategy',
    'readonly-memslot',
    '--vmm',
    vmm,
    '--format',
    'json',
    '--no-timing',
  ]);

describe('compare --vmm', () => {
  test.each([
    // kvmtool's chip is ready after its status was cleared, crosvm's tells its status once; both are flash to OVMF.
    ['qemu', 'flash, writable'],
    ['kvmtool', 'flash, writable'],
    ['crosvm', 'flash, writable'],
  ])('%s: OVMF finds %s', async (vmm, verdict) => {
    const { code, out } = await probe(vmm);
    const c = JSON.parse(out);
    expect(code).toBe(0);
    expect(c.runs[0].finding).toBe(`OVMF found ${verdict}`);
    expect(c.runs[0].strategy).toBe(`readonly-memslot@${vmm}`);
    expect(c.strategies[0].cross).toEqual({ of: 'readonly-memslot', added: [], leftOut: [], vmm });
    // What was claimed of the strategy is not held against somebody else's VMM.
    expect(c.runs[0].claims).toEqual([]);
  });

  test('a VMM nobody has is told, with the nearest name', async () => {
    const { code, err } = await probe('qmeu');
    expect([code, err]).toEqual([2, expect.stringMatching(/qmeu.*qemu/)]);
  });

  test('each says what it does and where that was read', () => {
    for (const { name, says, source } of VMMS) {
      expect(name).toMatch(/^[a-z-]+$/);
      expect(says.length).toBeGreaterThan(20);
      expect(source.length).toBeGreaterThan(10);
    }
  });
});
