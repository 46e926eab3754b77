/** For tests: a guest in 64-bit mode with page tables of its own, whose faults KVM's shadow tables serve. */
import { PROT_READ, PROT_WRITE } from '../abi.ts';
import { CoreMachine } from './core-machine.ts';

/** Bits of a guest's table entry: present, writable, accessed, dirty, and a large page. */
export const PTE_P = 1;
export const PTE_W = 2;
export const PTE_A = 0x20;
export const PTE_D = 0x40;
const PTE_PS = 0x80;
const TABLE = PTE_P | PTE_W | PTE_A;

/** Where things lie: RAM from 0, the code, and the tables of the first 512 GiB and of the second. */
const RAM_BYTES = 0x60_0000;
const CODE_AT = 0x1000;
const TABLES = { pml4: 0x2000, pdpt: 0x3000, pd: 0x4000, pt: 0x5000 } as const;
export const OTHER_TABLES = { pdpt: 0x6000, pd: 0x7000, pt: 0x8000 } as const;
/** First linear address behind OTHER_TABLES; it maps the page at 0xa000. */
const OTHER_LINEAR = 0x80_0000_0000;

/** A machine, and how to run it from marker to marker. */
export interface LongGuest {
  readonly m: CoreMachine;
  /** Where its RAM is in the VMM. */
  readonly hva: number;
  /** Runs to the next exit; returns how often KVM has walked the guest's tables since the last call. */
  readonly walks: () => number;
}

/**
 * RAM of 6 MiB: the first 2 MiB mapped by 4 KiB pages with accessed and dirty bits set, the next by one large page with
 * `large` for its bits. rdi is 0x6ff0, rsi 2 MiB, rbx OTHER_LINEAR.
 */
export function longGuest(
  code: readonly number[],
  paging: 'npt' | 'shadow',
  large = TABLE | PTE_D,
): LongGuest {
  const m = new CoreMachine({ series: [], paging });
  const ram = m.createBacking({ kind: 'shm', bytes: RAM_BYTES });
  const hva = m.mmap({ backing: ram, prot: PROT_READ | PROT_WRITE, shared: true });
  m.setUserMemoryRegion({ slot: 0, flags: 0, guestPhysAddr: 0, memorySize: RAM_BYTES, userspaceAddr: hva });
  const entry = (table: number, i: number, value: number): void => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
    m.poke(ram, table + i * 8, bytes);
  };
  entry(TABLES.pml4, 0, TABLES.pdpt | TABLE);
  entry(TABLES.pml4, 1, OTHER_TABLES.pdpt | TABLE);
  entry(TABLES.pdpt, 0, TABLES.pd | TABLE);
  entry(TABLES.pd, 0, TABLES.pt | TABLE);
  entry(TABLES.pd, 1, 0x20_0000 | large | PTE_PS);
  for (let i = 0; i < 512; i++) entry(TABLES.pt, i, (i * 0x1000) | TABLE | PTE_D);
  entry(OTHER_TABLES.pdpt, 0, OTHER_TABLES.pd | TABLE);
  entry(OTHER_TABLES.pd, 0, OTHER_TABLES.pt | TABLE);
  entry(OTHER_TABLES.pt, 0, 0xa000 | TABLE | PTE_D);
  m.poke(ram, CODE_AT, Uint8Array.from(code));
  const regs = { rip: CODE_AT, rdi: 0x6ff0, rsi: 0x20_0000, rbx: OTHER_LINEAR, rsp: 0x9000 };
  m.setupVcpu({ mode: 'long64', cr3: TABLES.pml4, regs });
  let seen = 0;
  const walks = (): number => {
    m.run();
    const now = m.observe().steps?.['guest-walk'] ?? 0;
    const since = now - seen;
    seen = now;
    return since;
  };
  return { m, hva, walks };
}
