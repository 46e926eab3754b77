/** The strategies as data, and each patch's decisions over every legal fault. */
import { describe, expect, test } from 'vitest';
import { factsOf, LEGAL_WORDS } from '../engine/facts.ts';
import {
  applySeries,
  BAD_PAGE_EFAULT,
  BAD_PAGE_EMULATE,
  BAD_PAGE_EMULATE_MMIO,
  base,
  DECISION_TABLE,
  decisionsOf,
  EMULATION_FAILURE_LOOP,
  EMULATION_FAILURE_MMIO,
  type FaultPolicy,
  KVM_HVA_ERR_RO_BAD,
  KVM_PFN_ERR_FAULT,
  KVM_PFN_ERR_NEEDS_IO,
  KVM_PFN_ERR_RO_FAULT,
  PFN_OK,
} from '../engine/policy.ts';
import { findPatch, findStrategy, PATCHES, STRATEGIES, STRATEGY_NAMES, withPatches } from './index.ts';
import { gupReasons } from './patches/gup-reasons.ts';
import { gupTellsReadonly } from './patches/gup-tells-readonly.ts';
import { introduceReadonlyMemslot } from './patches/introduce-readonly-memslot.ts';
import { judgeVmaByAccess } from './patches/judge-vma-by-access.ts';
import { reexecuteWritablePfn } from './patches/reexecute-writable-pfn.ts';

const facts = LEGAL_WORDS.map(factsOf);
const stock = applySeries([judgeVmaByAccess, introduceReadonlyMemslot, reexecuteWritablePfn]);

describe('the list', () => {
  test('has every name once, and each strategy says what it is and where it comes from', () => {
    expect(STRATEGIES.map((s) => s.name)).toEqual([...STRATEGY_NAMES]);
    for (const s of STRATEGIES) expect([s.cover.endsWith('.'), s.source.length > 0]).toEqual([true, true]);
  });

  test('names every patch once', () => {
    expect(new Set(PATCHES.map((p) => p.name)).size).toBe(PATCHES.length);
    for (const s of STRATEGIES) for (const p of s.series) expect(findPatch(p.name)).toBe(p);
  });

  test.each([
    ['judge-vma-by-access', ['gupFailed']],
    ['introduce-readonly-memslot', ['gfnToHva', 'handleBadPage']],
    ['return-dummy-page', ['gfnToHva', 'handleBadPage']],
    ['reexecute-writable-pfn', ['reexecuteInstruction']],
    ['ro-cached-mmio', ['handleBadPage']],
    ['gup-tells-readonly', ['gupFailed']],
    ['gup-reasons', ['gupFailed']],
    ['emulate-ro-fault', ['handleBadPage']],
    ['reexec-mmio', ['handleEmulationFailure']],
    ['leave-looping', ['handleEmulationFailure']],
  ])('%s rewrites %j', (name, decisions) => {
    const patch = findPatch(name);
    expect(patch && decisionsOf(patch)).toEqual(decisions);
  });
});

describe('the async patch', () => {
  test('differs from 3.5 for reads of read-only memory, and for nothing else', () => {
    const patched = applySeries([judgeVmaByAccess]);
    for (const f of facts) {
      if (patched.gupFailed(f, true) === base.gupFailed(f, true)) continue;
      expect([f.write, f.vmRead, f.vmWrite]).toEqual([false, true, false]);
      expect(patched.gupFailed(f, true)).toBe(KVM_PFN_ERR_NEEDS_IO);
    }
  });

  test('never says I/O to a look-up that was allowed to wait', () => {
    for (const f of facts) expect(stock.gupFailed(f, false)).toBe(KVM_PFN_ERR_FAULT);
  });
});

describe('the read-only memslot', () => {
  test('refuses writes to flagged slots, and only those', () => {
    for (const f of facts) {
      expect(stock.gfnToHva(f) === KVM_HVA_ERR_RO_BAD).toBe(f.write && f.slotReadonly);
    }
  });

  test('emulates a read-only fault; v3 caches it; any other error ends the VM', () => {
    const v3 = applySeries(findStrategy('readonly-memslot-v3')?.series ?? []);
    for (const f of facts) {
      expect(stock.handleBadPage(f, KVM_PFN_ERR_RO_FAULT)).toBe(BAD_PAGE_EMULATE);
      expect(v3.handleBadPage(f, KVM_PFN_ERR_RO_FAULT)).toBe(BAD_PAGE_EMULATE_MMIO);
      expect(stock.handleBadPage(f, KVM_PFN_ERR_FAULT)).toBe(BAD_PAGE_EFAULT);
    }
  });

  test('re-executes only with a writable page; before v6 a slot was enough', () => {
    for (const f of facts) {
      expect(stock.reexecuteInstruction(f, PFN_OK)).toBe(true);
      expect(stock.reexecuteInstruction(f, KVM_PFN_ERR_RO_FAULT)).toBe(false);
      expect(base.reexecuteInstruction(f, KVM_PFN_ERR_RO_FAULT)).toBe(f.slot);
    }
  });
});

describe('a patch alone, over the base', () => {
  const over = (name: string): FaultPolicy => applySeries([findPatch(name)!]);

  test.each(['introduce-readonly-memslot', 'return-dummy-page'])(
    '%s: refused by the slot, and emulated; all else is as it was',
    (name) => {
      const kvm = over(name);
      for (const f of facts) {
        const refused = f.write && f.slotReadonly;
        expect(kvm.gfnToHva(f)).toBe(refused ? KVM_HVA_ERR_RO_BAD : base.gfnToHva(f));
        expect(kvm.handleBadPage(f, KVM_PFN_ERR_RO_FAULT)).toBe(BAD_PAGE_EMULATE);
        expect(kvm.handleBadPage(f, KVM_PFN_ERR_FAULT)).toBe(BAD_PAGE_EFAULT);
      }
    },
  );

  test.each([
    ['emulate-ro-fault', BAD_PAGE_EMULATE],
    ['ro-cached-mmio', BAD_PAGE_EMULATE_MMIO],
  ])('%s: what is known to be read-only, and nothing else', (name, verdict) => {
    const kvm = over(name);
    for (const f of facts) {
      expect(kvm.handleBadPage(f, KVM_PFN_ERR_RO_FAULT)).toBe(verdict);
      expect(kvm.handleBadPage(f, KVM_PFN_ERR_FAULT)).toBe(BAD_PAGE_EFAULT);
    }
  });

  test.each([
    ['reexec-mmio', EMULATION_FAILURE_MMIO],
    ['leave-looping', EMULATION_FAILURE_LOOP],
  ])('%s: whatever faulted', (name, verdict) => {
    for (const f of facts) expect(over(name).handleEmulationFailure(f)).toBe(verdict);
  });

  test('reexecute-writable-pfn: only a page is a page', () => {
    for (const f of facts) {
      const asked = DECISION_TABLE.reexecuteInstruction.ask(over('reexecute-writable-pfn'), f);
      expect(asked).toEqual(DECISION_TABLE.gupFailed.answers.map((pfn) => pfn === PFN_OK));
    }
  });
});

describe('gup that gives reasons', () => {
  test('tells I/O, read-only and nothing apart', () => {
    const kvm = applySeries([gupReasons]);
    for (const f of facts) {
      const verdict = kvm.gupFailed(f, true);
      if (f.write && f.vmRead && !f.vmWrite) expect(verdict).toBe(KVM_PFN_ERR_RO_FAULT);
      else if (f.sigbus || !f.vmRead) expect(verdict).toBe(KVM_PFN_ERR_FAULT);
      else expect(verdict).toBe(f.cold ? KVM_PFN_ERR_NEEDS_IO : KVM_PFN_ERR_FAULT);
    }
  });

  test('the recorded variant changes writes to read-only memory alone', () => {
    const kvm = applySeries([judgeVmaByAccess, gupTellsReadonly]);
    for (const f of facts) {
      const readonly = f.write && f.vmRead && !f.vmWrite;
      expect(kvm.gupFailed(f, true)).toBe(readonly ? KVM_PFN_ERR_RO_FAULT : stock.gupFailed(f, true));
    }
  });
});

describe('withPatches', () => {
  const merged = findStrategy('readonly-memslot');
  const mapped = findStrategy('mmap-prot-read');
  if (merged === undefined || mapped === undefined) throw new Error('unreachable');

  test('adds at the end and says so in the name', () => {
    const result = withPatches(mapped, [judgeVmaByAccess], []);
    expect('strategy' in result && result.strategy.name).toBe('mmap-prot-read+judge-vma-by-access');
    expect('strategy' in result && result.strategy.series).toEqual([judgeVmaByAccess]);
    expect('strategy' in result && result.strategy.cross).toEqual({
      of: 'mmap-prot-read',
      added: ['judge-vma-by-access'],
      leftOut: [],
    });
  });

  test('leaves out, and changes nothing when asked for nothing', () => {
    const result = withPatches(merged, [], ['reexecute-writable-pfn']);
    expect('strategy' in result && result.strategy.series).toEqual([
      judgeVmaByAccess,
      introduceReadonlyMemslot,
    ]);
    expect(withPatches(merged, [judgeVmaByAccess], [])).toEqual({ strategy: merged });
  });

  test('both at once: what was left out is named first, what was there twice stays where it was', () => {
    const result = withPatches(
      merged,
      [gupReasons, reexecuteWritablePfn, gupReasons, gupTellsReadonly],
      ['judge-vma-by-access'],
    );
    if ('error' in result) throw new Error(result.error);
    const { name, cover, series, cross } = result.strategy;
    expect(name).toBe('readonly-memslot-judge-vma-by-access+gup-reasons+gup-tells-readonly');
    expect(cover).toBe(
      `readonly-memslot -judge-vma-by-access +gup-reasons +gup-tells-readonly: ${merged.cover}`,
    );
    expect(series).toEqual([introduceReadonlyMemslot, reexecuteWritablePfn, gupReasons, gupTellsReadonly]);
    expect(cross).toEqual({
      of: 'readonly-memslot',
      added: ['gup-reasons', 'gup-tells-readonly'],
      leftOut: ['judge-vma-by-access'],
    });
  });

  test('one of several that is not there is an error that says what is', () => {
    expect(withPatches(merged, [], ['judge-vma-by-access', 'ro-cached-mmio'])).toEqual({
      error:
        "strategy readonly-memslot has no patch 'ro-cached-mmio' to leave out (its series: judge-vma-by-access, introduce-readonly-memslot, reexecute-writable-pfn)",
    });
  });

  test('a patch that is not there is an error in one line', () => {
    expect(withPatches(mapped, [], ['ro-cached-mmio'])).toEqual({
      error: "strategy mmap-prot-read has no patch 'ro-cached-mmio' to leave out (its series is empty)",
    });
  });
});
