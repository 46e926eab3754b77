/**
 * What the processor under the recorded kernels has: an instruction it lacks is #UD there, one that only this core
 * does not execute is nobody's fault (`unsupported`). QEMU's processor (`-cpu max`, AMD) runs whatever it knows in
 * a nested guest, whatever CPUID says; virtualization of its own is hidden by KVM.
 */
import { CpuidFeature as F, type Instruction } from 'iced-x86';

/** Features that no such processor has. What is in doubt is not here. */
const LACKING: ReadonlySet<number> = new Set([
  ...[F.AVX512_4FMAPS, F.AVX512_4VNNIW, F.AVX512_BF16, F.AVX512_BITALG, F.AVX512_IFMA, F.AVX512_VBMI],
  ...[F.AVX512_VBMI2, F.AVX512_VNNI, F.AVX512_VP2INTERSECT, F.AVX512_VPOPCNTDQ, F.AVX512BW, F.AVX512CD],
  ...[F.AVX512DQ, F.AVX512ER, F.AVX512F, F.AVX512PF, F.AVX512VL, F.AVX512_FP16, F.KNC],
  ...[F.AMX_BF16, F.AMX_TILE, F.AMX_INT8, F.AMX_FP16, F.AMX_COMPLEX],
  ...[F.XOP, F.FMA4, F.TBM, F.LWP, F.GFNI, F.AVX_VNNI, F.AVX_IFMA, F.AVX_NE_CONVERT],
  ...[F.AVX_VNNI_INT8, F.AVX_VNNI_INT16, F.SHA512, F.SM3, F.SM4],
  ...[F.VMX, F.INVEPT, F.INVVPID, F.SMX, F.SGX1, F.TDX, F.RTM, F.HLE_or_RTM, F.TSXLDTRK],
  ...[F.SKINIT, F.SKINIT_or_SVM, F.SEV_ES, F.SEV_SNP, F.RMPQUERY, F.TSE],
  ...[F.MOVDIRI, F.MOVDIR64B, F.ENQCMD, F.WAITPKG, F.SERIALIZE, F.CLDEMOTE, F.PTWRITE, F.PCONFIG],
  ...[F.KL, F.AESKLE, F.WIDE_KL, F.UINTR, F.HRESET, F.FRED, F.LKGS, F.RAO_INT, F.MSRLIST, F.WRMSRNS],
  ...[F.CL1INVMB, F.MCOMMIT, F.MONITORX, F.CLZERO, F.RDPRU, F.INVLPGB, F.PCOMMIT, F.UDBG],
  ...[F.PADLOCK_ACE, F.PADLOCK_PHE, F.PADLOCK_PMM, F.PADLOCK_RNG, F.PADLOCK_GMI, F.PADLOCK_UNDOC],
  ...[F.CYRIX_D3NOW, F.CYRIX_FPU, F.CYRIX_SMM, F.CYRIX_SMINT, F.CYRIX_SMINT_0F7E, F.CYRIX_SHR],
  ...[F.CYRIX_DDI, F.CYRIX_EMMI, F.CYRIX_DMI, F.CENTAUR_AIS, F.OSS, F.UMOV, F.IA64, F.SMM],
  ...[F.INTEL8086_ONLY, F.INTEL286_ONLY, F.INTEL386_ONLY, F.INTEL386_A0_ONLY, F.INTEL486_A_ONLY, F.MOV_TR],
]);

/** Does the processor lack this instruction, so that executing it is #UD? */
export function processorLacks(code: Instruction): boolean {
  return code.cpuidFeatures().some((feature) => LACKING.has(feature));
}
