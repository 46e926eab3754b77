/** Shadow page tables: what of them goes when the guest's tables change, seen by how often the guest faults again. */
import { expect, test } from 'vitest';
import { PROT_READ, PROT_WRITE } from '../../../abi.ts';
import { KVM_EXIT_HLT } from '../../../exits.ts';
import { longGuest, OTHER_TABLES, PTE_A, PTE_D, PTE_P, PTE_W } from '../../testing.ts';

const OUT = [0xe6, 0x80];
const HLT = 0xf4;
const LOAD_FIRST = [0x8a, 0x06]; // mov al, [rsi]: the first page of the large one
const LOAD_OTHER = [0x8a, 0x86, 0, 0, 1, 0]; // mov al, [rsi + 0x10000]: one that no prefetch reaches
const STORE_FIRST = [0x88, 0x06];
const STORE_OTHER = [0x88, 0x86, 0, 0, 1, 0];
const CLEAN = PTE_P | PTE_W | PTE_A;

/** Walks of the guest's tables between markers, the fetch of the first instruction left out. */
function walksOf(parts: readonly (readonly number[])[], large: number): number[] {
  const code = [...OUT, ...parts.flatMap((p) => [...p, ...OUT]), HLT];
  const { m, walks } = longGuest(code, 'shadow', large);
  walks();
  const seen = parts.map(walks);
  walks();
  expect(m.exit.reason).toBe(KVM_EXIT_HLT);
  return seen;
}

test('a large page whose dirty bit is set by a store loses the entries made while it was clean', () => {
  const parts = [[...LOAD_FIRST, ...LOAD_OTHER], STORE_FIRST, LOAD_OTHER, STORE_OTHER, LOAD_FIRST];
  // The store faults and drops both entries; the load faults again and gets one that may be written.
  expect(walksOf(parts, CLEAN)).toEqual([2, 1, 1, 0, 0]);
});

test('a dirty one keeps them: its entries may be written from the start', () => {
  const parts = [[...LOAD_FIRST, ...LOAD_OTHER], STORE_FIRST, LOAD_OTHER, STORE_OTHER, LOAD_FIRST];
  expect(walksOf(parts, CLEAN | PTE_D)).toEqual([2, 0, 0, 0, 0]);
});

test('neighbours within eight pages that the host has mapped come with it, others do not', () => {
  const load = (page: number): number[] => [0x8a, 0x86, 0, (page << 4) & 0xff, page >> 4, 0];
  const touch = Array.from({ length: 17 }, (_, p) => load(p)).flat();
  const pages = [0, 7, 8, 15, 16].map((p) => [...load(p), ...OUT]);
  const { m, hva, walks } = longGuest([...OUT, ...touch, ...OUT, ...pages.flat(), HLT], 'shadow');
  walks();
  expect(walks()).toBe(17);
  // The notifier empties the shadow tables; what the host has mapped stays mapped.
  m.mprotect(hva + 0x20_0000, 0x20_0000, PROT_READ);
  m.mprotect(hva + 0x20_0000, 0x20_0000, PROT_READ | PROT_WRITE);
  // With the first load the code is fetched again, through the tables above it.
  expect(pages.map(walks)).toEqual([2, 0, 1, 0, 1]);
});

test('without write access in the guest tables a store is the guest’s own fault', () => {
  const { m, walks } = longGuest([...OUT, ...STORE_FIRST, HLT], 'shadow', PTE_P | PTE_A | PTE_D);
  walks();
  walks();
  expect(m.observe().faults.guest).toBeGreaterThan(0);
  expect(m.exit.reason).not.toBe(KVM_EXIT_HLT);
});

test('a store to a last-level table is the guest’s own business; to one above, KVM’s', () => {
  const TOUCH = [0x8a, 0x03]; // mov al, [rbx]
  const store = (at: number): number[] => [0xbf, at & 0xff, (at >> 8) & 0xff, 0, 0, 0x88, 0x07];
  const emulated = (at: number): number => {
    const { m } = longGuest([...TOUCH, ...store(at), HLT], 'shadow');
    m.run();
    expect(m.exit.reason).toBe(KVM_EXIT_HLT);
    return m.observe().emulated ?? -1;
  };
  expect([OTHER_TABLES.pdpt, OTHER_TABLES.pd, OTHER_TABLES.pt].map((t) => emulated(t + 0xff0))).toEqual([
    1, 1, 0,
  ]);
});
