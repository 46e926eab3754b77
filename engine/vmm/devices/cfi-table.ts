/** The CFI query table of QEMU's chip: what Linux and edk2 read to learn how to drive it. JEDEC JESD68; values of 9.x. */

/** What the table depends on. */
export interface CfiGeometry {
  /** Bytes of the whole bank, and of an erase block over all its chips. */
  readonly bytes: number;
  readonly blockBytes: number;
  /** Bytes of the bank, and of one chip; 0 for a chip whose width is not said. */
  readonly width: number;
  readonly deviceWidth: number;
}

/** The table of one chip, by query address. */
export function cfiTable({ bytes, blockBytes, width, deviceWidth }: CfiGeometry): Uint8Array {
  const chips = deviceWidth > 0 ? width / deviceWidth : 1;
  const blocks = Math.max(1, Math.floor(bytes / blockBytes));
  const blockOfChip = blockBytes / chips;
  const table = new Uint8Array(0x52);
  const put = (at: number, ...values: number[]): void => table.set(values, at);
  // "QRY", Intel's command set, and where its own table is.
  put(0x10, 0x51, 0x52, 0x59, 0x01, 0x00, 0x31);
  // Supply voltages, typical and longest times as powers of two.
  put(0x1b, 0x45, 0x55, 0x00, 0x00, 0x07, 0x07, 0x0a, 0x00, 0x04, 0x04, 0x04, 0x00);
  // Size as a power of two, an interface of 8 and 16 bits, and the write buffer.
  put(0x27, Math.round(Math.log2(blockOfChip * blocks)), 0x02, 0x00, width === 1 ? 0x08 : 0x0b, 0x00);
  // One region of equal blocks: how many less one, and their size in units of 256 bytes.
  put(0x2c, 0x01, blocks - 1, (blocks - 1) >> 8, blockOfChip >> 8, blockOfChip >> 16);
  // "PRI", version 1.0, one protection field.
  put(0x31, 0x50, 0x52, 0x49, 0x31, 0x30);
  put(0x3f, 0x01);
  return table;
}
