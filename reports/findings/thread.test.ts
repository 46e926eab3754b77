/** The thread's claims, tried on the emulated core: every one can be run, and comes to a verdict with evidence. */
import { beforeAll, describe, expect, test } from 'vitest';
import { createCoreMachine } from '../../engine/core/core-machine.ts';
import { SCENARIOS } from '../../scenarios/index.ts';
import { THREAD, type Trial } from '../../scenarios/readonly-memory/thread.ts';
import type { Run } from '../../scenarios/run/comparison.ts';
import { compare } from '../../scenarios/run/runner.ts';
import { findPatch, findStrategy, withPatches } from '../../strategies/index.ts';
import { judgeClaims, type ThreadClaimResult, trialName, trialsOf } from './claims-text.ts';

async function runTrial(t: Trial): Promise<Run | undefined> {
  const scenario = SCENARIOS.find((s) => s.name === t.scenario);
  const strategy = findStrategy(t.strategy);
  const patches = (t.with ?? []).map((name) => findPatch(name));
  if (scenario === undefined || strategy === undefined || patches.includes(undefined)) return undefined;
  const cross = withPatches(
    strategy,
    patches.filter((p) => p !== undefined),
    t.without ?? [],
  );
  if ('error' in cross) throw new Error(cross.error);
  const c = await compare({
    scenarios: [scenario],
    strategies: [cross.strategy],
    paging: t.paging ?? 'npt',
    seed: 1,
    params: t.params ?? {},
    version: '0',
    command: '',
    createMachine: createCoreMachine,
  });
  return c.runs[0];
}

describe('the claims of the thread', () => {
  let results: ThreadClaimResult[] = [];
  const runs = new Map<string, Run>();

  beforeAll(async () => {
    for (const t of trialsOf(THREAD)) {
      const run = await runTrial(t);
      if (run) runs.set(`${t.scenario} ${trialName(t)}`, run);
    }
    results = judgeClaims(THREAD, (t) => runs.get(`${t.scenario} ${trialName(t)}`));
  });

  test('there are at least sixteen, each under a name of its own', () => {
    expect(THREAD.length).toBeGreaterThanOrEqual(16);
    expect(new Set(THREAD.map((c) => c.id)).size).toBe(THREAD.length);
    for (const c of THREAD) expect(c.id).toMatch(/^[a-z0-9-]+$/);
  });

  test('come to these verdicts', () => {
    expect(results.map((r) => `${r.verdict}: ${r.id}`)).toMatchInlineSnapshot(`
      [
        "holds: cold-read-crashes",
        "holds: reads-of-a-readonly-slot-are-plain",
        "holds-if: writes-to-a-readonly-slot-exit",
        "holds-if: write-protected-mappings-work-already",
        "holds: flag-and-mapping-coexist",
        "holds: the-check-of-vm-write-is-the-bug",
        "holds-if: qemu-mappings-have-the-bug-too",
        "holds: vm-write-only-guesses",
        "holds: the-crash-can-be-fixed-separately",
        "holds-if: reexecute-looks-at-memslots-only",
        "holds: two-mappings-give-two-protections",
        "holds: reexecute-must-ask-the-user-mapping",
        "holds: two-mappings-die-of-a-write",
        "holds-if: the-vmm-cannot-tell",
        "holds: a-pci-rom-write-should-be-ignored",
        "holds: romd-needs-mmio-writes",
        "holds: gup-could-tell-the-reason",
        "holds: gup-reasons-are-more-complex",
        "holds: always-retrying-loops",
        "holds: after-an-mmio-exit-it-fails-again",
        "holds-if: reads-never-reach-the-emulator",
        "holds-if: real-hardware-would-loop",
        "holds: internal-error-or-looping",
      ]
    `);
  });

  test('a claim whose run is missing is an error, not a verdict', () => {
    expect(() => judgeClaims(THREAD, () => undefined)).toThrow(
      /cold-read-crashes: rom-read-cold under mmap-prot-read was not run/,
    );
  });

  test('each says what was seen', () => {
    for (const r of results) {
      for (const s of r.scenarios) expect(r.evidence).toContain(s);
      expect(r.condition?.startsWith('if ') ?? true).toBe(true);
    }
  });
});
