/** Bytes of a frame header the checksum covers: version and header length, flags, payload length. */
const COVERED_BYTES = 6;

const TABLE = buildTable();

function buildTable(): Int32Array {
  const table = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    table[byte] = value;
  }
  return table;
}

/**
 * CRC-32 (ISO-HDLC, as zlib's) over the first six bytes of the frame header at `offset`, as an unsigned number.
 * A table instead of `zlib.crc32`: that one needs a view and a call into C++ per frame, which costs ten times as much.
 */
export function headerCrc(bytes: Uint8Array, offset: number): number {
  let crc = -1;
  for (let index = 0; index < COVERED_BYTES; index++) {
    crc = (crc >>> 8) ^ (TABLE[(crc ^ (bytes[offset + index] ?? 0)) & 0xff] ?? 0);
  }
  return ~crc >>> 0;
}
