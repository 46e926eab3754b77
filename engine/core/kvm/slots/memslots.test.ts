import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EEXIST, EINVAL, ENOENT, KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY } from '../../../abi.ts';
import { type CoreMachine, createCoreMachine } from '../../core-machine.ts';
import { slotRecordOf } from './gfn-index.ts';

const MIB = 2 ** 20;

function machineWithMemory(bytes = MIB): { m: CoreMachine; hva: number } {
  const m = createCoreMachine({ series: [] });
  const backing = m.createBacking({ kind: 'shm', bytes });
  return { m, hva: m.mmap({ backing, prot: 3, shared: true }) };
}

describe('KVM_SET_USER_MEMORY_REGION, checks in the order of Linux 6.1', () => {
  const region = { slot: 1, flags: 0, guestPhysAddr: 0x10000, memorySize: 0x4000, userspaceAddr: 0 };
  const cases: readonly [string, Partial<typeof region>, number][] = [
    ['a slot', {}, 0],
    ['an unknown flag', { flags: 128 }, -EINVAL],
    ['an unknown flag comes before a bad size', { flags: 128, memorySize: 1 }, -EINVAL],
    ['a size that is no whole number of pages', { memorySize: 6144 }, -EINVAL],
    ['a gpa that is not page aligned', { guestPhysAddr: 0x10800 }, -EINVAL],
    ['a slot number too high', { slot: 32764 }, -EINVAL],
    ['a slot of the SMM address space', { slot: 65536 + 3 }, 0],
    ['a slot of no address space', { slot: 2 * 65536 }, -EINVAL],
    ['the last gfn the processor has', { guestPhysAddr: 2 ** 40 - 0x4000 }, 0],
    ['a gfn above what the processor has', { guestPhysAddr: 2 ** 40 }, -EINVAL],
    ['deleting what is not there', { memorySize: 0 }, -EINVAL],
  ];
  it.each(cases)('%s', (_name, change, want) => {
    const { m, hva } = machineWithMemory();
    expect(m.setUserMemoryRegion({ ...region, userspaceAddr: hva, ...change })).toBe(want);
  });

  it('accepts an hva where nothing is mapped: the fault comes when it is used', () => {
    const { m } = machineWithMemory();
    expect(m.setUserMemoryRegion({ ...region, userspaceAddr: 0 })).toBe(0);
  });

  it('changes of a live slot: flags may log, but the read-only bit, size and hva are fixed; gpa moves', () => {
    const { m, hva } = machineWithMemory();
    const live = { ...region, userspaceAddr: hva };
    expect(m.setUserMemoryRegion(live)).toBe(0);
    expect(m.setUserMemoryRegion(live)).toBe(0);
    expect(m.setUserMemoryRegion({ ...live, flags: KVM_MEM_READONLY })).toBe(-EINVAL);
    expect(m.setUserMemoryRegion({ ...live, memorySize: 0x8000 })).toBe(-EINVAL);
    expect(m.setUserMemoryRegion({ ...live, userspaceAddr: hva + 4096 })).toBe(-EINVAL);
    expect(m.setUserMemoryRegion({ ...live, flags: KVM_MEM_LOG_DIRTY_PAGES })).toBe(0);
    expect(m.setUserMemoryRegion({ ...live, guestPhysAddr: 0x80000 })).toBe(0);
    expect(slotRecordOf(m.vm, 0x10)).toBe(0);
    expect(slotRecordOf(m.vm, 0x80)).not.toBe(0);
  });

  it('refuses overlap with -EEXIST, and only after the -EINVAL checks', () => {
    const { m, hva } = machineWithMemory();
    m.setUserMemoryRegion({ ...region, userspaceAddr: hva });
    const overlapping = { ...region, slot: 2, guestPhysAddr: 0x12000, userspaceAddr: hva };
    expect(m.setUserMemoryRegion(overlapping)).toBe(-EEXIST);
    expect(m.setUserMemoryRegion({ ...overlapping, flags: 64 })).toBe(-EINVAL);
    expect(m.setUserMemoryRegion({ ...overlapping, guestPhysAddr: 0x14000 })).toBe(0);
  });

  it('has no dirty log without the flag', () => {
    const { m, hva } = machineWithMemory();
    m.setUserMemoryRegion({ ...region, userspaceAddr: hva });
    expect(m.getDirtyLog(1).ret).toBe(-ENOENT);
    expect(m.getDirtyLog(9).ret).toBe(-ENOENT);
    expect(m.getDirtyLog(32764).ret).toBe(-EINVAL);
  });
});

describe('the index over gfn', () => {
  it('finds the slot of every gfn, however slots come and go', () => {
    const slot = fc.record({ at: fc.nat(4000), pages: fc.integer({ min: 1, max: 1200 }) });
    fc.assert(
      fc.property(
        fc.array(slot, { maxLength: 12 }),
        fc.array(fc.nat(11), { maxLength: 6 }),
        (slots, gone) => {
          const { m, hva } = machineWithMemory(8 * MIB);
          const live = new Map<number, { at: number; pages: number }>();
          slots.forEach((s, id) => {
            const region = {
              slot: id,
              flags: 0,
              guestPhysAddr: s.at * 4096,
              memorySize: s.pages * 4096,
              userspaceAddr: hva,
            };
            if (m.setUserMemoryRegion(region) === 0) live.set(id, s);
          });
          for (const id of gone) {
            const ret = m.setUserMemoryRegion({
              slot: id,
              flags: 0,
              guestPhysAddr: 0,
              memorySize: 0,
              userspaceAddr: 0,
            });
            expect(ret).toBe(live.delete(id) ? 0 : -EINVAL);
          }
          for (let gfn = 0; gfn < 5300; gfn += 7) {
            const owner = [...live].find(([, s]) => gfn >= s.at && gfn < s.at + s.pages);
            const record = slotRecordOf(m.vm, gfn);
            expect(m.mmu.slots.slotOfRecord(record)?.id).toBe(owner?.[0]);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('takes memory by what is mapped, not by how large the slot is', () => {
    const m = createCoreMachine({ series: [] });
    const backing = m.createBacking({ kind: 'shm', bytes: 2 ** 36 });
    const hva = m.mmap({ backing, prot: 3, shared: true });
    m.setUserMemoryRegion({ slot: 0, flags: 0, guestPhysAddr: 0, memorySize: 2 ** 36, userspaceAddr: hva });
    m.poke(backing, 2 ** 35, new Uint8Array([1]));
    expect(m.vm.h.length * 4 + m.vm.mem.length).toBeLessThan(8 * MIB);
    expect(slotRecordOf(m.vm, 2 ** 24 - 1)).not.toBe(0);
  });
});
