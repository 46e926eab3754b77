/** Test support: instructions of the guest that touch an address, for tests that make up guests. */

const le32 = (n: number): number[] => [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, (n >>> 24) & 255];

/** Bytes of one that touches `address`; `r` picks a register that is neither ecx nor esp, `imm` is a byte. */
export type Encoder = (address: number, r: number, imm: number) => number[];

/** Instructions by name, for flat 32-bit code, or with `long` for 64-bit code and addresses below 2 GiB. */
export function touching(long: boolean): Readonly<Record<string, Encoder>> {
  // [disp32], which 64-bit code says with a SIB byte: without one it is relative to rip.
  const at = (reg: number, address: number): number[] =>
    long ? [(reg << 3) | 4, 0x25, ...le32(address)] : [(reg << 3) | 5, ...le32(address)];
  return {
    'mov8 store': (a) => [0x88, ...at(0, a)],
    'mov16 store': (a, r) => [0x66, 0x89, ...at(r, a)],
    'mov32 store': (a, r) => [0x89, ...at(r, a)],
    'mov8 imm': (a, _r, imm) => [0xc6, ...at(0, a), imm],
    'mov32 load': (a, r) => [0x8b, ...at(r, a)],
    'movzx load': (a, r) => [0x0f, 0xb6, ...at(r, a)],
    'movsx load': (a, r) => [0x0f, 0xbf, ...at(r, a)],
    'add rmw': (a, r) => [0x01, ...at(r, a)],
    'adc rmw': (a, r) => [0x11, ...at(r, a)],
    'sbb16 rmw': (a, r) => [0x66, 0x19, ...at(r, a)],
    'and imm': (a, _r, imm) => [0x81, ...at(4, a), ...le32(imm * 0x01010101)],
    'or8 imm': (a, _r, imm) => [0x80, ...at(1, a), imm],
    'xor rmw': (a, r) => [0x31, ...at(r, a)],
    'cmp load': (a, r) => [0x3b, ...at(r, a)],
    'test load': (a, r) => [0x85, ...at(r, a)],
    inc8: (a) => [0xfe, ...at(0, a)],
    dec32: (a) => [0xff, ...at(1, a)],
    not16: (a) => [0x66, 0xf7, ...at(2, a)],
    neg8: (a) => [0xf6, ...at(3, a)],
    shl8: (a) => [0xd0, ...at(4, a)],
    'shr32 imm': (a, _r, imm) => [0xc1, ...at(5, a), imm & 1],
    xchg32: (a, r) => [0x87, ...at(r, a)],
    'lock add': (a, r) => [0xf0, 0x01, ...at(r, a)],
    cmpxchg8: (a) => [0x0f, 0xb0, ...at(3, a)],
    'lock cmpxchg': (a, r) => [0xf0, 0x0f, 0xb1, ...at(r, a)],
    cmpxchg8b: (a) => [0x0f, 0xc7, ...at(1, a)],
    xadd: (a, r) => [0x0f, 0xc1, ...at(r, a)],
    setz: (a) => [0x0f, 0x94, ...at(0, a)],
    movnti: (a, r) => [0x0f, 0xc3, ...at(r, a)],
    'movups load': (a) => [0x0f, 0x10, ...at(0, a)],
    'movups store': (a) => [0x0f, 0x11, ...at(0, a)],
    'movdqu store': (a) => [0xf3, 0x0f, 0x7f, ...at(0, a)],
    stosd: (a) => [0xbf, ...le32(a), 0xab],
    lodsb: (a) => [0xbe, ...le32(a), 0xac],
    scasb: (a) => [0xbf, ...le32(a), 0xae],
    'rep movsb out': (a, _r, imm) => [
      0xbe,
      ...le32(0x8000),
      0xbf,
      ...le32(a),
      0xb9,
      ...le32(1 + (imm & 7)),
      0xf3,
      0xa4,
    ],
    'rep movsd in': (a, _r, imm) => [
      0xbe,
      ...le32(a),
      0xbf,
      ...le32(0x9000),
      0xb9,
      ...le32(1 + (imm & 3)),
      0xf3,
      0xa5,
    ],
  };
}
