/** Which handler executes which x87 mnemonic, and the images that hold x87 state. */
import { Mnemonic } from 'iced-x86';
import type { Exec } from '../../insn/executable.ts';
import { nop } from '../system/exec-system.ts';
import { fxrstor, fxsave } from './exec-fxsave.ts';
import * as f from './exec-x87.ts';
import * as k from './exec-x87-more.ts';
import { xrstor, xsave } from './exec-xsave.ts';

const M = Mnemonic;

/** x87 handlers by mnemonic. */
export const X87_HANDLERS: readonly [number, Exec][] = [
  ...same([M.Fninit, M.Finit], f.fninit),
  ...same([M.Fnclex, M.Fclex], f.fnclex),
  [M.Fld1, f.fld1],
  [M.Fldz, f.fldz],
  [M.Fldpi, f.fldpi],
  [M.Fldl2e, f.fldl2e],
  [M.Fldl2t, f.fldl2t],
  [M.Fldln2, f.fldln2],
  [M.Fldlg2, f.fldlg2],
  [M.Fld, f.fld],
  [M.Fild, f.fild],
  [M.Fst, f.fst],
  [M.Fstp, f.fstp],
  [M.Fist, f.fist],
  [M.Fistp, f.fistp],
  [M.Fisttp, f.fisttp],
  ...same([M.Fnstcw, M.Fstcw], f.fnstcw),
  [M.Fldcw, f.fldcw],
  ...same([M.Fnstsw, M.Fstsw], f.fnstsw),
  [M.Fxch, f.fxch],
  [M.Fchs, f.fchs],
  [M.Fabs, f.fabs],
  ...same([M.Fnop, M.Fneni, M.Feni, M.Fndisi, M.Fdisi, M.Fnsetpm, M.Fsetpm], nop),
  [M.Fadd, f.fadd],
  [M.Faddp, f.faddp],
  [M.Fiadd, f.fiadd],
  [M.Fsub, f.fsub],
  [M.Fsubp, f.fsubp],
  [M.Fisub, f.fisub],
  [M.Fsubr, f.fsubr],
  [M.Fisubr, f.fisubr],
  [M.Fidivr, f.fidivr],
  [M.Fsubrp, f.fsubrp],
  [M.Fmul, f.fmul],
  [M.Fmulp, f.fmulp],
  [M.Fimul, f.fimul],
  [M.Fdiv, f.fdiv],
  [M.Fdivp, f.fdivp],
  [M.Fidiv, f.fidiv],
  [M.Fdivr, f.fdivr],
  [M.Fdivrp, f.fdivrp],
  ...same([M.Fcom, M.Fucom], k.fcom),
  ...same([M.Fcomp, M.Fucomp], k.fcomp),
  ...same([M.Fcompp, M.Fucompp], k.fcompp),
  [M.Ficom, k.ficom],
  [M.Ficomp, k.ficomp],
  [M.Ftst, k.ftst],
  ...same([M.Fcomi, M.Fucomi], k.fcomi),
  ...same([M.Fcomip, M.Fucomip], k.fcomip),
  [M.Fxam, k.fxam],
  [M.Fsqrt, k.fsqrt],
  [M.Frndint, k.frndint],
  [M.F2xm1, k.f2xm1],
  [M.Fscale, k.fscale],
  [M.Fsin, k.fsin],
  [M.Fcos, k.fcos],
  [M.Fsincos, k.fsincos],
  [M.Fptan, k.fptan],
  [M.Fpatan, k.fpatan],
  [M.Fyl2x, k.fyl2x],
  [M.Fyl2xp1, k.fyl2xp1],
  [M.Fxtract, k.fxtract],
  [M.Fprem, k.fprem],
  [M.Fprem1, k.fprem1],
  ...same([M.Fcmovb, M.Fcmove, M.Fcmovbe, M.Fcmovu, M.Fcmovnb, M.Fcmovne, M.Fcmovnbe, M.Fcmovnu], k.fcmov),
  [M.Ffree, k.ffree],
  [M.Fincstp, k.fincstp],
  [M.Fdecstp, k.fdecstp],
  ...same([M.Fnstenv, M.Fstenv], k.fnstenv),
  [M.Fldenv, k.fldenv],
  ...same([M.Fnsave, M.Fsave], k.fnsave),
  [M.Frstor, k.frstor],
  ...same([M.Fxsave, M.Fxsave64], fxsave),
  ...same([M.Fxrstor, M.Fxrstor64], fxrstor),
  ...same([M.Xsave, M.Xsave64, M.Xsaveopt, M.Xsaveopt64], xsave),
  ...same([M.Xrstor, M.Xrstor64], xrstor),
];

function same(mnemonics: number[], exec: Exec): [number, Exec][] {
  return mnemonics.map((mnemonic) => [mnemonic, exec]);
}
