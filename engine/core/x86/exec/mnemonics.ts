/** Which handler executes which mnemonic. One that is not here is #UD to the guest CPU. */
import { Mnemonic } from 'iced-x86';
import type { Exec } from '../insn/executable.ts';
import * as b from './integer/exec-bits.ts';
import * as d from './integer/exec-decimal.ts';
import * as n from './integer/exec-integer.ts';
import * as h from './integer/exec-shift.ts';
import * as s from './integer/exec-string.ts';
import * as c from './system/exec-control.ts';
import * as q from './system/exec-fast-call.ts';
import * as x from './system/exec-interrupt.ts';
import * as msr from './system/exec-msr.ts';
import * as r from './system/exec-registers.ts';
import * as y from './system/exec-system.ts';
import * as t from './system/exec-tables.ts';
import { VECTOR_HANDLERS } from './vector/vector-mnemonics.ts';
import { X87_HANDLERS } from './x87/x87-mnemonics.ts';

const M = Mnemonic;

const INTEGER: [number, Exec][] = [
  [M.Mov, n.mov],
  [M.Movzx, n.movzx],
  [M.Movsx, n.movsx],
  [M.Movsxd, n.movsx],
  [M.Lea, n.lea],
  [M.Add, n.add],
  [M.Adc, n.adc],
  [M.Sub, n.sub],
  [M.Sbb, n.sbb],
  [M.Cmp, n.cmp],
  [M.And, n.and],
  [M.Or, n.or],
  [M.Xor, n.xor],
  [M.Test, n.test],
  [M.Inc, n.inc],
  [M.Dec, n.dec],
  [M.Neg, n.neg],
  [M.Not, n.not],
  [M.Xchg, n.xchg],
  [M.Xadd, n.xadd],
  [M.Cmpxchg, n.cmpxchg],
  [M.Mul, h.mul],
  [M.Imul, h.imul],
  [M.Div, h.div],
  [M.Idiv, h.idiv],
  [M.Rol, h.rol],
  [M.Ror, h.ror],
  [M.Rcl, h.rcl],
  [M.Rcr, h.rcr],
  [M.Shl, h.shl],
  [M.Sal, h.shl],
  [M.Shr, h.shr],
  [M.Sar, h.sar],
  [M.Shld, h.shld],
  [M.Shrd, h.shrd],
  [M.Xlatb, h.xlat],
  [M.Popcnt, h.popcnt],
  [M.Daa, d.daa],
  [M.Das, d.das],
  [M.Aaa, d.aaa],
  [M.Aas, d.aas],
  [M.Aam, d.aam],
  [M.Aad, d.aad],
  [M.Salc, d.salc],
  [M.Les, d.les],
  [M.Lds, d.lds],
  [M.Lss, d.lss],
  [M.Lfs, d.lfs],
  [M.Lgs, d.lgs],
  [M.Bt, b.bt],
  [M.Bts, b.bts],
  [M.Btr, b.btr],
  [M.Btc, b.btc],
  [M.Bsf, b.bsf],
  [M.Bsr, b.bsr],
  [M.Tzcnt, b.tzcnt],
  [M.Lzcnt, b.lzcnt],
  [M.Bswap, b.bswap],
  [M.Movbe, b.movbe],
  [M.Crc32, b.crc32],
  [M.Cmpxchg8b, b.cmpxchg8b],
  [M.Cmpxchg16b, b.cmpxchg16b],
  ...same([M.Cbw, M.Cwde, M.Cdqe], n.cwde),
  ...same([M.Cwd, M.Cdq, M.Cqo], n.cdq),
  ...same(
    [M.Seto, M.Setno, M.Setb, M.Setae, M.Sete, M.Setne, M.Setbe, M.Seta].concat([
      M.Sets,
      M.Setns,
      M.Setp,
      M.Setnp,
      M.Setl,
      M.Setge,
      M.Setle,
      M.Setg,
    ]),
    b.setcc,
  ),
  ...same(
    [M.Cmovo, M.Cmovno, M.Cmovb, M.Cmovae, M.Cmove, M.Cmovne, M.Cmovbe, M.Cmova].concat([
      M.Cmovs,
      M.Cmovns,
      M.Cmovp,
      M.Cmovnp,
      M.Cmovl,
      M.Cmovge,
      M.Cmovle,
      M.Cmovg,
    ]),
    b.cmovcc,
  ),
];

const CONTROL: [number, Exec][] = [
  [M.Push, c.push],
  [M.Pop, c.pop],
  ...same([M.Pusha, M.Pushad], c.pusha),
  ...same([M.Popa, M.Popad], c.popa),
  ...same([M.Pushf, M.Pushfd, M.Pushfq], c.pushf),
  ...same([M.Popf, M.Popfd, M.Popfq], c.popf),
  [M.Enter, c.enter],
  [M.Leave, c.leave],
  [M.Jmp, c.jmp],
  [M.Call, c.call],
  [M.Ret, c.ret],
  [M.Retf, c.retf],
  ...same([M.Iret, M.Iretd, M.Iretq], x.iret),
  ...same([M.Loop, M.Loope, M.Loopne], c.loop),
  ...same([M.Jcxz, M.Jecxz, M.Jrcxz], c.jcxz),
  [M.Int, x.int],
  [M.Int3, x.int3],
  [M.Into, x.into],
  ...same(
    [M.Jo, M.Jno, M.Jb, M.Jae, M.Je, M.Jne, M.Jbe, M.Ja].concat([
      M.Js,
      M.Jns,
      M.Jp,
      M.Jnp,
      M.Jl,
      M.Jge,
      M.Jle,
      M.Jg,
    ]),
    c.jcc,
  ),
];

const SYSTEM: [number, Exec][] = [
  // SVM is hidden, and CR4 cannot be told to allow the others.
  ...same([M.Ud0, M.Ud1, M.Ud2, M.Vmrun, M.Vmload, M.Vmsave, M.Clgi, M.Invlpga], y.undefinedOpcode),
  ...same([M.Rdfsbase, M.Rdgsbase, M.Wrfsbase, M.Wrgsbase, M.Rdpkru, M.Wrpkru], y.undefinedOpcode),
  [M.Rdpmc, y.rdpmc],
  [M.Clac, y.clac],
  [M.Stac, y.stac],
  ...same([M.Nop, M.Pause, M.Wait, M.Endbr32, M.Endbr64, M.Clflush, M.Clflushopt, M.Clwb], y.nop),
  ...same(
    [M.Prefetchnta, M.Prefetcht0, M.Prefetcht1, M.Prefetcht2, M.Prefetchw, M.Prefetch, M.Prefetchwt1],
    y.nop,
  ),
  ...same([M.Mfence, M.Lfence, M.Sfence, M.Reservednop], y.nop),
  [M.Clc, y.clc],
  [M.Stc, y.stc],
  [M.Cmc, y.cmc],
  [M.Cld, y.cld],
  [M.Std, y.std],
  [M.Cli, y.cli],
  [M.Sti, y.sti],
  [M.Lahf, y.lahf],
  [M.Sahf, y.sahf],
  [M.Hlt, y.hlt],
  [M.In, y.inPort],
  [M.Out, y.outPort],
  [M.Sgdt, t.sgdt],
  [M.Sidt, t.sidt],
  [M.Lgdt, t.lgdt],
  [M.Lidt, t.lidt],
  [M.Sldt, t.sldt],
  [M.Lldt, t.lldt],
  [M.Str, t.str],
  [M.Ltr, t.ltr],
  [M.Lar, t.lar],
  [M.Lsl, t.lsl],
  [M.Verr, t.verr],
  [M.Verw, t.verw],
  [M.Arpl, t.arpl],
  [M.Smsw, r.smsw],
  [M.Lmsw, r.lmsw],
  [M.Clts, r.clts],
  ...same([M.Wbinvd, M.Invd], r.wbinvd),
  [M.Xsetbv, r.xsetbv],
  [M.Rdmsr, msr.rdmsr],
  [M.Wrmsr, msr.wrmsr],
  [M.Syscall, q.syscall],
  ...same([M.Sysret, M.Sysretq], q.sysret),
  [M.Sysenter, q.sysenter],
  ...same([M.Sysexit, M.Sysexitq], q.sysexit),
  [M.Rdtscp, y.rdtscp],
  [M.Vmmcall, y.vmmcall],
  ...same([M.Monitor, M.Mwait], y.monitor),
  [M.Cpuid, y.cpuid],
  [M.Rdtsc, y.rdtsc],
  [M.Xgetbv, r.xgetbv],
  [M.Invlpg, r.invlpg],
  ...same([M.Movsb, M.Movsw, M.Movsq], s.movs),
  ...same([M.Stosb, M.Stosw, M.Stosd, M.Stosq], s.stos),
  ...same([M.Lodsb, M.Lodsw, M.Lodsd, M.Lodsq], s.lods),
  ...same([M.Scasb, M.Scasw, M.Scasd, M.Scasq], s.scas),
  ...same([M.Cmpsb, M.Cmpsw, M.Cmpsq], s.cmps),
  ...same([M.Insb, M.Insw, M.Insd], s.ins),
  ...same([M.Outsb, M.Outsw, M.Outsd], s.outs),
];

function same(mnemonics: number[], exec: Exec): [number, Exec][] {
  return mnemonics.map((mnemonic) => [mnemonic, exec]);
}

/** Handlers by mnemonic. MOVSD and CMPSD, names with two meanings, are left to the decoder. */
export const HANDLERS: ReadonlyMap<number, Exec> = new Map([
  ...INTEGER,
  ...CONTROL,
  ...SYSTEM,
  ...VECTOR_HANDLERS,
  ...X87_HANDLERS,
]);
