/** RDMSR and WRMSR: the registers that KVM gives a guest (kvm_get_msr_common(), svm_get_msr(), Linux 6.1); others are #GP. */
import type { Processor } from '../../processor.ts';
import { UNSUPPORTED, VECTOR_GP } from '../../processor-port.ts';
import { CR0_PG, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE, FS, GS, RAX, RCX, RDX } from '../../regs.ts';
import { privileged } from './exec-registers.ts';

const TSC = 0x10;
const EFER = 0xc0000080;
const FS_BASE = 0xc0000100;
const GS_BASE = 0xc0000101;
const PAT = 0x277;
const MTRR_DEF_TYPE = 0x2ff;

/** First and last number of registers that are there, what they read before anything was written. */
interface Range {
  readonly first: number;
  readonly last?: number;
  readonly reset?: bigint;
  /** What becomes of a write; stored when absent. */
  readonly write?: 'ignored' | 'refused' | 'canonical' | 'unmodelled';
}

const RANGES: readonly Range[] = [
  // Paravirtual clocks, steal time, asynchronous faults: KVM would write to guest memory from then on.
  { first: 0x11, last: 0x12, write: 'unmodelled' },
  { first: 0x4b564d00, last: 0x4b564d07, write: 'unmodelled' },
  { first: 0x17, write: 'ignored' },
  { first: 0x1b },
  { first: 0x2a, write: 'ignored' },
  { first: 0x3b },
  { first: 0x79, write: 'ignored' },
  { first: 0x8b, reset: 0x01000065n, write: 'ignored' },
  { first: 0xc1, last: 0xc4, write: 'ignored' },
  { first: 0xfe, reset: 0x508n, write: 'refused' },
  { first: 0x174 },
  { first: 0x175, last: 0x176, write: 'canonical' },
  { first: 0x179, reset: 32n, write: 'refused' },
  { first: 0x17a, last: 0x17b },
  { first: 0x186, last: 0x189, write: 'ignored' },
  { first: 0x198, write: 'refused' },
  { first: 0x1a0, reset: 1n },
  { first: 0x1d9 },
  { first: 0x1db, last: 0x1de, write: 'ignored' },
  { first: 0x200, last: 0x20f },
  { first: 0x250 },
  { first: 0x258, last: 0x259 },
  { first: 0x268, last: 0x26f },
  { first: PAT },
  { first: MTRR_DEF_TYPE },
  // Machine-check banks: 32 of four registers.
  { first: 0x400, last: 0x47f },
  { first: 0xc0000081 },
  { first: 0xc0000082, last: 0xc0000083, write: 'canonical' },
  { first: 0xc0000084 },
  { first: 0xc0000102, write: 'canonical' },
  { first: 0xc0000103 },
  { first: 0xc0010000, last: 0xc0010007, write: 'ignored' },
  { first: 0xc0010010, write: 'ignored' },
  { first: 0xc0010015 },
  { first: 0xc001001a, write: 'ignored' },
  { first: 0xc001001d, write: 'ignored' },
  { first: 0xc001001f, write: 'ignored' },
  { first: 0xc0010020, write: 'ignored' },
  { first: 0xc0010055, write: 'ignored' },
  { first: 0xc0010114, write: 'ignored' },
  { first: 0xc0010117, write: 'ignored' },
  { first: 0xc0011022, write: 'ignored' },
];

const rangeOf = (n: number): Range | undefined =>
  RANGES.find((r) => n >= r.first && n <= (r.last ?? r.first));

const isCanonical64 = (v: bigint): boolean => BigInt.asIntN(48, v) === BigInt.asIntN(64, v);

export function rdmsr(m: Processor): number {
  const stop = privileged(m);
  if (stop !== 0) return stop;
  const v = read(m, m.gpr[2 * RCX]! >>> 0);
  if (v === undefined) return m.raise(VECTOR_GP, 0);
  m.setReg(RAX, 4, Number(BigInt.asIntN(32, v)), 0);
  m.setReg(RDX, 4, Number(BigInt.asIntN(32, v >> 32n)), 0);
  return 0;
}

function read(m: Processor, n: number): bigint | undefined {
  const { regs } = m;
  if (n === TSC) return BigInt(m.retired);
  if (n === EFER) return BigInt(regs.efer);
  if (n === FS_BASE || n === GS_BASE) return BigInt(regs.segBase[n === FS_BASE ? FS : GS]!);
  const range = rangeOf(n);
  return range === undefined ? undefined : (regs.msrs.get(n) ?? range.reset ?? 0n);
}

export function wrmsr(m: Processor): number {
  const stop = privileged(m);
  if (stop !== 0) return stop;
  const high = BigInt(m.gpr[2 * RDX]! >>> 0);
  return write(m, m.gpr[2 * RCX]! >>> 0, (high << 32n) | BigInt(m.gpr[2 * RAX]! >>> 0));
}

function write(m: Processor, n: number, v: bigint): number {
  const { regs } = m;
  if (n === EFER) return writeEfer(m, v);
  if (n === TSC) return UNSUPPORTED;
  if (n === FS_BASE || n === GS_BASE) {
    if (!isCanonical64(v)) return m.raise(VECTOR_GP, 0);
    regs.segBase[n === FS_BASE ? FS : GS] = Number(BigInt.asIntN(64, v));
    return 0;
  }
  const range = rangeOf(n);
  if (range === undefined || range.write === 'refused') return m.raise(VECTOR_GP, 0);
  if (range.write === 'ignored') return 0;
  const taken = regs.onMsrWrite(n, v);
  if (taken === false) return m.raise(VECTOR_GP, 0);
  if (taken === true) {
    regs.msrs.set(n, v);
    return 0;
  }
  if (range.write === 'unmodelled' && v !== 0n) return UNSUPPORTED;
  if (range.write === 'canonical' && !isCanonical64(v)) return m.raise(VECTOR_GP, 0);
  if (!isValid(n, v)) return m.raise(VECTOR_GP, 0);
  regs.msrs.set(n, v);
  return 0;
}

/** kvm_pat_valid(), kvm_mtrr_valid(): memory types that exist. */
function isValid(n: number, v: bigint): boolean {
  const types = (allowed: readonly number[]): boolean =>
    [0, 1, 2, 3, 4, 5, 6, 7].every((k) => allowed.includes(Number((v >> BigInt(8 * k)) & 0xffn)));
  if (n === PAT) return types([0, 1, 4, 5, 6, 7]);
  if (n >= 0x250 && n <= 0x26f) return types([0, 1, 4, 5, 6]);
  if (n === MTRR_DEF_TYPE) return (v & ~0xcffn) === 0n && [0, 1, 4, 5, 6].includes(Number(v & 0xffn));
  if (n >= 0x200 && n <= 0x20f && n % 2 === 0) return [0, 1, 4, 5, 6].includes(Number(v & 0xffn));
  return true;
}

/** set_efer(): LME stands while paging is on, LMA follows from it. */
function writeEfer(m: Processor, v: bigint): number {
  const { regs } = m;
  const next = Number(BigInt.asIntN(32, v));
  if (v >> 32n !== 0n || next & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)) return m.raise(VECTOR_GP, 0);
  if (regs.cr0 & CR0_PG && (next ^ regs.efer) & EFER_LME) return m.raise(VECTOR_GP, 0);
  regs.efer = (next & ~EFER_LMA) | (regs.efer & EFER_LMA);
  regs.onPagingChange();
  regs.update();
  return 0;
}
