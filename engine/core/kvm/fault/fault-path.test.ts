import { describe, expect, it } from 'vitest';
import {
  F_APF,
  F_COLD,
  F_MKWRITE,
  F_PTE_PRESENT,
  F_PTE_WRITE,
  F_SIGBUS,
  F_SLOT,
  F_SLOT_READONLY,
  F_VM_READ,
  F_VM_WRITE,
  F_VMA,
  F_WRITE,
  isLegal,
  LEGAL_WORDS,
} from '../../../facts.ts';
import { base, type FaultPolicy } from '../../../policy.ts';
import {
  tabulate,
  V_ACTION,
  V_ASYNC,
  V_EFAULT,
  V_EMULATE,
  V_EMULATE_MMIO,
  V_FAULT_IN,
  V_MAP,
  V_REEXECUTE,
  V_WRITABLE,
  walkFault,
} from './fault-path.ts';

/** The merged series, spelled out here so that the test does not depend on strategies/. */
const merged: FaultPolicy = {
  ...base,
  gfnToHva: (f) => (!f.slot ? 1 : f.slotReadonly && f.write ? 2 : 0),
  gupFailed: (f, nowait) => (nowait && f.vma && f.vmRead && (!f.write || f.vmWrite) ? 3 : 2),
  handleBadPage: (_f, pfn) => (pfn === 4 ? 1 : 0),
  reexecuteInstruction: (_f, pfn) => pfn === 0,
};

const RO_VMA = F_SLOT | F_VMA | F_VM_READ;
const RW_VMA = RO_VMA | F_VM_WRITE;
const action = (word: number, kvm: FaultPolicy): number => walkFault(word, kvm) & V_ACTION;

describe('the fault path, by the policy matrix of the kernels', () => {
  it('S1: a read of resident read-only host memory is mapped read-only, before and after the series', () => {
    for (const kvm of [base, merged]) {
      const verdict = walkFault(RO_VMA | F_PTE_PRESENT, kvm);
      expect(verdict & V_ACTION).toBe(V_MAP);
      expect(verdict & V_WRITABLE).toBe(0);
    }
  });

  it('S2, S3: a cold read of read-only host memory kills the VM in 3.5 and waits after the series', () => {
    expect(action(RO_VMA | F_COLD, base)).toBe(V_EFAULT);
    expect(action(RO_VMA | F_COLD | F_APF, base)).toBe(V_EFAULT);
    expect(action(RO_VMA | F_COLD, merged)).toBe(V_MAP);
    expect(action(RO_VMA | F_COLD | F_APF, merged)).toBe(V_ASYNC);
  });

  it('S4: a write to read-only host memory in a plain slot kills the VM in both', () => {
    for (const kvm of [base, merged]) expect(action(F_WRITE | RO_VMA | F_PTE_PRESENT, kvm)).toBe(V_EFAULT);
  });

  it('S8: SIGBUS on memory the VMA allows is taken for I/O when async is possible, an error when not', () => {
    expect(action(RW_VMA | F_SIGBUS | F_APF, merged)).toBe(V_ASYNC);
    expect(action(RW_VMA | F_SIGBUS, merged)).toBe(V_EFAULT);
  });

  it('a read-only slot never takes an asynchronous fault', () => {
    expect(action(RO_VMA | F_SLOT_READONLY | F_COLD | F_APF, merged)).toBe(V_MAP);
    expect(action(RO_VMA | F_SLOT_READONLY | F_SIGBUS | F_APF, merged)).toBe(V_EFAULT);
  });

  it('S10: a read-only slot is mapped read-only even if the host could write', () => {
    const word = RW_VMA | F_MKWRITE | F_SLOT_READONLY | F_PTE_PRESENT | F_PTE_WRITE;
    expect(walkFault(word, merged) & V_WRITABLE).toBe(0);
    expect(walkFault(word & ~F_SLOT_READONLY, merged) & V_WRITABLE).toBe(V_WRITABLE);
  });

  it('a write to a read-only slot is emulated, whatever the host memory is', () => {
    for (const host of [0, F_VMA, RO_VMA, RW_VMA | F_PTE_PRESENT | F_PTE_WRITE]) {
      expect(action(F_WRITE | F_SLOT | F_SLOT_READONLY | host, merged)).toBe(V_EMULATE);
    }
  });

  it('S14: no slot is MMIO, and is remembered as such', () => {
    expect(action(0, merged)).toBe(V_EMULATE_MMIO);
    expect(action(F_WRITE, base)).toBe(V_EMULATE_MMIO);
  });

  it('asks the host to fault a page in exactly when the host has no pte that will do', () => {
    expect(walkFault(RW_VMA, merged) & V_FAULT_IN).toBe(V_FAULT_IN);
    expect(walkFault(F_WRITE | RW_VMA | F_PTE_PRESENT, merged) & V_FAULT_IN).toBe(V_FAULT_IN);
    expect(walkFault(F_WRITE | RW_VMA | F_PTE_PRESENT | F_PTE_WRITE, merged) & V_FAULT_IN).toBe(0);
  });

  it('retries an instruction it cannot emulate where a memslot is (3.5), or a writable pfn (3.7)', () => {
    const romWrite = F_WRITE | RW_VMA | F_SLOT_READONLY | F_PTE_PRESENT;
    expect(tabulate(base)[romWrite]! & V_REEXECUTE).toBe(V_REEXECUTE);
    expect(tabulate(merged)[romWrite]! & V_REEXECUTE).toBe(0);
  });
});

describe('the verdict table', () => {
  it('holds the walk of every legal word and nothing for the others', () => {
    const table = tabulate(merged);
    for (let word = 0; word < table.length; word++) {
      if (isLegal(word)) expect(table[word]! & V_ACTION).toBe(walkFault(word, merged) & V_ACTION);
      else expect(table[word]).toBe(0);
    }
  });

  it('gives every legal word an action', () => {
    for (const word of LEGAL_WORDS) expect(action(word, base)).not.toBe(0);
  });

  it('never maps writable what the host does not let KVM write', () => {
    for (const word of LEGAL_WORDS) {
      for (const kvm of [base, merged]) {
        const verdict = walkFault(word, kvm);
        if ((verdict & V_WRITABLE) !== 0) expect(word & F_VM_WRITE).toBe(F_VM_WRITE);
      }
    }
  });

  it('never maps a read-only slot writable under the merged series', () => {
    const readonly = LEGAL_WORDS.filter((w) => (w & F_SLOT_READONLY) !== 0);
    for (const word of readonly) expect(walkFault(word, merged) & V_WRITABLE).toBe(0);
  });
});

describe('reexecute_instruction()', () => {
  it('is told what a write that may wait for the disk would get, for every word', () => {
    const table = tabulate(merged);
    for (const word of LEGAL_WORDS) {
      const has = (bits: number): boolean => (word & bits) === bits;
      const page = has(F_SLOT | F_VM_WRITE) && (word & (F_SLOT_READONLY | F_SIGBUS)) === 0;
      expect((table[word]! & V_REEXECUTE) !== 0, word.toString(16)).toBe(page);
    }
  });
});
