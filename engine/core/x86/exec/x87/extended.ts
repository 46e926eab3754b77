/** The 80-bit format of x87, to and from doubles, in a machine's buffer. */
import type { Processor } from '../../processor.ts';

/** Ten bytes of the buffer as a number. */
export function fromExtended(m: Processor): number {
  const exp = m.view.getUint16(8, true);
  const mantissa = m.view.getBigUint64(0, true);
  const sign = exp & 0x8000 ? -1 : 1;
  if ((exp & 0x7fff) === 0x7fff)
    return mantissa << 1n === 0n || mantissa === 1n << 63n ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (mantissa === 0n) return sign * 0;
  const e = (exp & 0x7fff) - 16383 - 63;
  // In two steps, so that neither factor leaves the range of a double.
  const h = Math.trunc(e / 2);
  return sign * Number(mantissa) * 2 ** h * 2 ** (e - h);
}

/** A number as ten bytes of the buffer, at `at`. */
export function toExtended(m: Processor, v: number, at: number): void {
  const view = m.view;
  view.setFloat64(at, v, true);
  const bits = view.getBigUint64(at, true);
  const sign = bits >> 63n ? 0x8000 : 0;
  const exp = Number((bits >> 52n) & 0x7ffn);
  let mantissa = bits & 0xfffffffffffffn;
  let e = 0;
  if (exp === 0x7ff) {
    e = 0x7fff;
    mantissa = (1n << 63n) | (mantissa << 11n);
  } else if (exp !== 0) {
    e = exp - 1023 + 16383;
    mantissa = (1n << 63n) | (mantissa << 11n);
  } else if (mantissa !== 0n) {
    const shift = BigInt(64 - mantissa.toString(2).length);
    e = 16383 - 1074 + 63 - Number(shift);
    mantissa <<= shift;
  }
  view.setBigUint64(at, mantissa, true);
  view.setUint16(at + 8, sign | e, true);
}
