/** Looks at the instruction a guest stopped at: its length, its text, and which memory it touches. */
import {
  Decoder,
  DecoderOptions,
  Formatter,
  FormatterSyntax,
  InstructionInfoFactory,
  OpAccess,
  Register,
  RegisterExt,
} from 'iced-x86';
import type { VcpuRegs } from '../machine.ts';

/** An instruction as a VMM sees it that decodes it itself. */
export interface Decoded {
  /** Bytes it takes. */
  readonly length: number;
  /** Intel syntax. */
  readonly text: string;
  /** It locks the bus, as `lock` and every `xchg` with memory do. */
  readonly locked: boolean;
  /** The first address it writes, or else the first it reads, in guest linear addresses. */
  readonly memory?: { readonly address: number; readonly write: boolean };
}

const WRITES: readonly OpAccess[] = [
  OpAccess.Write,
  OpAccess.CondWrite,
  OpAccess.ReadWrite,
  OpAccess.ReadCondWrite,
];

/** Made once: they keep no state between two instructions. */
const FORMATTER = new Formatter(FormatterSyntax.Intel);
const INFO = new InstructionInfoFactory();

/** Decodes the instruction at the start of `code`; undefined if there is none. */
export function decodeAt(code: Uint8Array, bits: 32 | 64, regs: VcpuRegs): Decoded | undefined {
  if (code.length === 0) return undefined;
  const decoder = new Decoder(bits, code, DecoderOptions.None);
  decoder.ip = regs.rip;
  const instruction = decoder.decode();
  if (instruction.isInvalid) return undefined;
  const text = FORMATTER.format(instruction);
  const used = INFO.info(instruction).usedMemory();
  const touched = used.filter((m) => m.access !== OpAccess.NoMemAccess && m.access !== OpAccess.None);
  const first = touched.find((m) => WRITES.includes(m.access)) ?? touched[0];
  const decoded: Decoded = {
    length: instruction.length,
    text,
    locked: instruction.hasLockPrefix || text.startsWith('xchg'),
    ...(first === undefined
      ? {}
      : {
          memory: {
            address: Number(
              BigInt.asUintN(
                bits,
                registerValue(first.base, regs) +
                  registerValue(first.index, regs) * BigInt(first.scale) +
                  first.displacement,
              ),
            ),
            write: WRITES.includes(first.access),
          },
        }),
  };
  for (const wasm of [decoder, instruction, ...used]) wasm.free();
  return decoded;
}

function registerValue(register: Register, regs: VcpuRegs): bigint {
  if (register === Register.None) return 0n;
  const value = regs.gpr[RegisterExt.number(register)] ?? 0n;
  return BigInt.asUintN(RegisterExt.size(register) * 8, value);
}
