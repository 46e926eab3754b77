/** Instructions in words, for those who read what a machine did; never on a path the guest waits for. */
import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from 'iced-x86';
import { toHex } from '../../../hex.ts';
import { MODE_LONG64, MODE_PROT32 } from '../regs.ts';

let formatter: Formatter | undefined;

/** The instruction at the start of `code` in Intel syntax, or its bytes where it is none. */
export function describeInstruction(code: Uint8Array, mode: number, rip: number): string {
  if (code.length === 0) return '';
  const bits = mode === MODE_LONG64 ? 64 : mode === MODE_PROT32 ? 32 : 16;
  const decoder = new Decoder(bits, code, DecoderOptions.None);
  decoder.ip = BigInt(rip);
  const instruction = decoder.decode();
  formatter ??= new Formatter(FormatterSyntax.Intel);
  const text = instruction.isInvalid
    ? `(bytes ${toHex(code.subarray(0, 4), ' ')})`
    : formatter.format(instruction);
  instruction.free();
  decoder.free();
  return text;
}
