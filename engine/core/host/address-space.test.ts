import { describe, expect, it } from 'vitest';
import { EINVAL, ENOMEM } from '../../abi.ts';
import {
  F_COLD,
  F_MKWRITE,
  F_PTE_PRESENT,
  F_PTE_WRITE,
  F_VM_READ,
  F_VM_WRITE,
  F_VMA,
  isLegal,
} from '../../facts.ts';
import { Vm } from '../vm.ts';
import { AddressSpace } from './address-space.ts';
import { HOST_COW, HOST_IO, HOST_MINOR, HOST_NOTHING } from './host-fault.ts';

function hostWith(kind: 'shm' | 'anon' | 'file', prot: number, shared = true) {
  const vm = new Vm(new Int32Array(4096));
  const host = new AddressSpace(vm);
  const id = host.createBacking({ kind, bytes: 64 * 4096, fill: 0x90 });
  const hvn = host.mmap({ backing: id, prot, shared });
  return { vm, host, id, hvn, mapping: host.find(hvn)! };
}

describe('what the host knows of a page', () => {
  it('a memfd mapped and not touched: in memory, not mapped, and a read will leave it writable', () => {
    const { host, hvn } = hostWith('shm', 3);
    expect(host.facts(hvn)).toBe(F_VMA | F_VM_READ | F_VM_WRITE | F_MKWRITE);
  });

  it('a file is write-notified: a read leaves it read-only', () => {
    const { host, hvn, mapping } = hostWith('file', 3);
    host.faults.faultIn(mapping, 0, false);
    expect(host.facts(hvn)).toBe(F_VMA | F_VM_READ | F_VM_WRITE | F_PTE_PRESENT);
    host.faults.faultIn(mapping, 0, true);
    expect(host.facts(hvn) & F_PTE_WRITE).toBe(F_PTE_WRITE);
  });

  it('a read fault maps the sixteen pages around it, aligned in the address space; a write fault one', () => {
    const mapped = (host: AddressSpace, hvn: number): number[] =>
      Array.from({ length: 64 }, (_, i) => i).filter((i) => (host.facts(hvn + i) & F_PTE_PRESENT) !== 0);
    const read = hostWith('shm', 3);
    read.host.faults.faultIn(read.mapping, 25, false);
    const window = Array.from({ length: 16 }, (_, i) => ((read.hvn + 25) & ~15) - read.hvn + i);
    expect(mapped(read.host, read.hvn)).toEqual(window);
    // At the start of the mapping the window is full-sized from there on, not cut at its aligned end.
    const start = hostWith('shm', 3);
    start.host.faults.faultIn(start.mapping, 0, false);
    expect(mapped(start.host, start.hvn)).toEqual(Array.from({ length: 16 }, (_, i) => i));
    const write = hostWith('shm', 3);
    write.host.faults.faultIn(write.mapping, 25, true);
    expect(mapped(write.host, write.hvn)).toEqual([25]);
  });

  it('out of the page cache: cold, and reading it back is I/O that happens once', () => {
    const { host, id, hvn, mapping } = hostWith('file', 1);
    host.faults.faultIn(mapping, 0, false);
    host.dropPageCache(id);
    expect(host.residentPages(hvn)).toBe(0);
    expect(host.facts(hvn) & F_COLD).toBe(F_COLD);
    host.faults.faultIn(mapping, 0, false);
    expect(host.faults.lastFault & HOST_IO).toBe(HOST_IO);
    host.faults.faultIn(mapping, 0, false);
    expect(host.faults.lastFault).toBe(HOST_NOTHING);
  });

  it('only legal fault words come out, whatever is done to the memory', () => {
    for (const kind of ['shm', 'anon', 'file'] as const) {
      for (const prot of [0, 1, 3]) {
        const { host, id, hvn, mapping } = hostWith(kind, 3, kind !== 'anon');
        host.mprotect(hvn, 32, prot);
        if (prot !== 0) host.faults.faultIn(mapping, 1, prot === 3);
        host.dontneed(hvn + 2, 2);
        host.dropPageCache(id);
        for (let i = 0; i < 64; i++) expect(isLegal(2 | host.facts(hvn + i))).toBe(true);
      }
    }
  });
});

describe('copies and views', () => {
  it('a private mapping copies on write; the alias does not see it; MADV_DONTNEED loses it', () => {
    const { vm, host, hvn, mapping } = hostWith('shm', 3, false);
    const before = host.faults.faultIn(mapping, 0, false) >>> 11;
    const after = host.faults.faultIn(mapping, 0, true) >>> 11;
    expect(host.faults.lastFault & HOST_COW).toBe(HOST_COW);
    vm.mem[after << 12] = 1;
    expect(vm.mem[before << 12]).toBe(0x90);
    expect(vm.mem[host.peekFrame(0, 0) << 12]).toBe(0x90);
    host.dontneed(hvn, 1);
    expect(host.faults.faultIn(mapping, 0, false) >>> 11).toBe(before);
  });

  it('tells the notifier when another frame comes to stand behind an address', () => {
    const { host, hvn, mapping } = hostWith('shm', 3, false);
    const seen: number[] = [];
    host.onInvalidate = (at, n) => seen.push(at, n);
    host.faults.faultIn(mapping, 7, false);
    host.faults.faultIn(mapping, 7, true);
    expect(seen).toEqual([hvn + 7, 1]);
  });

  it('anonymous memory after MADV_DONTNEED reads as zeros without I/O', () => {
    const { vm, host, hvn, mapping } = hostWith('anon', 3);
    expect(vm.mem[(host.faults.faultIn(mapping, 3, false) >>> 11) << 12]).toBe(0x90);
    host.dontneed(hvn, 64);
    expect(host.faults.faultIn(mapping, 3, false) >>> 11).toBe(0);
    expect(host.faults.lastFault).toBe(HOST_MINOR);
  });

  it('two mappings of one memfd with different protection show the same bytes', () => {
    const { vm, host, id, mapping } = hostWith('shm', 1);
    const alias = host.find(host.mmap({ backing: id, prot: 3, shared: true }))!;
    vm.mem[(host.faults.faultIn(alias, 9, true) >>> 11) << 12] = 0x5a;
    expect(vm.mem[(host.faults.faultIn(mapping, 9, false) >>> 11) << 12]).toBe(0x5a);
  });
});

describe('calls', () => {
  it('mprotect() of the middle of a mapping splits it, and putting it back joins it', () => {
    const { host, hvn, mapping } = hostWith('shm', 3);
    host.mprotect(hvn + 4, 4, 1);
    expect(mapping.vmas).toHaveLength(3);
    expect(host.facts(hvn + 4) & F_VM_WRITE).toBe(0);
    expect(host.facts(hvn + 8) & F_VM_WRITE).toBe(F_VM_WRITE);
    host.mprotect(hvn + 4, 4, 3);
    expect(mapping.vmas).toHaveLength(1);
  });

  it('refuses what is not mapped', () => {
    const { host, hvn } = hostWith('shm', 3);
    expect(host.mprotect(hvn + 60, 8, 1)).toBe(-ENOMEM);
    expect(host.dontneed(1, 1)).toBe(-ENOMEM);
    expect(host.munmap(hvn + 1)).toBe(-EINVAL);
    expect(host.userFrame(1, false)).toBe(-1);
  });
});
