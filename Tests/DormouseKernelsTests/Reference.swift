import DormouseKernels
import Glibc

/// Numbers that are the same in every run (xorshift64, Marsaglia 2003).
struct Random {
  private var state: UInt64

  init(_ seed: Int) { state = UInt64(truncatingIfNeeded: seed) &* 0x9E37_79B9_7F4A_7C15 | 1 }

  mutating func bits() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }

  /// Uniform in -1...1.
  mutating func number() -> Float { Float(Int64(bitPattern: bits()) >> 40) / Float(1 << 23) }

  mutating func numbers(_ count: Int) -> [Float] { (0..<count).map { _ in number() } }
}

/// What a stored element is worth, from the definition of its format and in double precision.
enum Definition {
  static func value(_ type: ElementType, _ bits: UInt32) -> Double {
    switch type {
    case .float32: Double(Float(bitPattern: bits))
    case .float16: value(bits, exponentBits: 5, mantissaBits: 10, bias: 15, hasInfinity: true)
    case .bfloat16: value(bits, exponentBits: 8, mantissaBits: 7, bias: 127, hasInfinity: true)
    case .float8E4M3: value(bits, exponentBits: 4, mantissaBits: 3, bias: 7, hasInfinity: false)
    }
  }

  static func e8m0(_ byte: UInt8) -> Double { byte == 255 ? .nan : scalbn(1, Int32(byte) - 127) }

  private static func value(
    _ bits: UInt32, exponentBits: Int, mantissaBits: Int, bias: Int, hasInfinity: Bool
  ) -> Double {
    let mantissa = bits & ((1 << mantissaBits) - 1)
    let exponent = Int(bits >> mantissaBits) & ((1 << exponentBits) - 1)
    let sign: Double = bits >> (exponentBits + mantissaBits) & 1 == 1 ? -1 : 1
    let isTop = exponent == (1 << exponentBits) - 1
    if isTop && hasInfinity { return mantissa == 0 ? sign * .infinity : .nan }
    if isTop && mantissa == (1 << mantissaBits) - 1 { return .nan }
    let fraction = Double(mantissa) / Double(1 << mantissaBits)
    return sign * (exponent == 0 ? scalbn(fraction, Int32(1 - bias)) : scalbn(1 + fraction, Int32(exponent - bias)))
  }
}

/// A matrix that owns its bytes, which lie at no better alignment than an element needs, and its values in double
/// precision.
final class TestMatrix {
  struct Blocks {
    var storage: BlockScales.Storage
    var rowBlock: Int
    var columnBlock: Int
    var firstRow = 0
  }

  let type: ElementType
  let rows: Int
  let columns: Int
  private let bytes: UnsafeMutableRawPointer
  private let scaleBytes: UnsafeMutableRawPointer
  private let blocks: Blocks?

  init(_ type: ElementType, _ rows: Int, _ columns: Int, seed: Int, blocks: Blocks? = nil) {
    self.type = type
    self.rows = rows
    self.columns = columns
    self.blocks = blocks
    bytes = .allocate(byteCount: (rows * columns + 1) * type.byteCount, alignment: 64)
    scaleBytes = .allocate(byteCount: 4 * (rows + (blocks?.firstRow ?? 0) + 2) * (columns + 2) + 1, alignment: 64)
    var random = Random(seed)
    for i in 0..<rows * columns { setBits(TestMatrix.element(type, &random), at: i) }
    for i in 0..<gridRows * gridColumns { setScale(i, &random) }
  }

  deinit {
    bytes.deallocate()
    scaleBytes.deallocate()
  }

  var matrix: WeightMatrix {
    let scales = blocks.map {
      BlockScales(
        storage: $0.storage, data: scaleBytes + 1, columns: gridColumns, rowBlock: $0.rowBlock,
        columnBlock: $0.columnBlock, firstRow: $0.firstRow)
    }
    return WeightMatrix(elementType: type, rows: rows, columns: columns, data: start, scales: scales)
  }

  func value(_ r: Int, _ c: Int) -> Double { unscaled(r, c) * scale(r, c) }

  func setBits(_ bits: UInt32, at index: Int) {
    let p = start + index * type.byteCount
    switch type.byteCount {
    case 4: p.storeBytes(of: bits, as: UInt32.self)
    case 2: p.storeBytes(of: UInt16(truncatingIfNeeded: bits), as: UInt16.self)
    default: p.storeBytes(of: UInt8(truncatingIfNeeded: bits), as: UInt8.self)
    }
  }

  private var start: UnsafeMutableRawPointer { bytes + type.byteCount }
  private var gridColumns: Int { blocks.map { (columns + $0.columnBlock - 1) / $0.columnBlock } ?? 0 }
  private var gridRows: Int { blocks.map { (rows + $0.firstRow + $0.rowBlock - 1) / $0.rowBlock } ?? 0 }

  private func unscaled(_ r: Int, _ c: Int) -> Double {
    let p = start + (r * columns + c) * type.byteCount
    let bits: UInt32 =
      switch type.byteCount {
      case 4: p.loadUnaligned(as: UInt32.self)
      case 2: UInt32(p.loadUnaligned(as: UInt16.self))
      default: UInt32(p.load(as: UInt8.self))
      }
    return Definition.value(type, bits)
  }

  private func scale(_ r: Int, _ c: Int) -> Double {
    guard let blocks else { return 1 }
    let index = (blocks.firstRow + r) / blocks.rowBlock * gridColumns + c / blocks.columnBlock
    switch blocks.storage {
    case .float32: return Double((scaleBytes + 1 + 4 * index).loadUnaligned(as: Float.self))
    case .float8E8M0: return Definition.e8m0((scaleBytes + 1 + index).load(as: UInt8.self))
    }
  }

  private func setScale(_ index: Int, _ random: inout Random) {
    guard let blocks else { return }
    switch blocks.storage {
    case .float32: (scaleBytes + 1 + 4 * index).storeBytes(of: 0.01 + abs(random.number()), as: Float.self)
    case .float8E8M0: (scaleBytes + 1 + index).storeBytes(of: UInt8(117 + random.bits() % 12), as: UInt8.self)
    }
  }

  /// Finite values of ordinary size, but for float8, where every finite byte occurs.
  private static func element(_ type: ElementType, _ random: inout Random) -> UInt32 {
    let number = random.number()
    switch type {
    case .float32: return number.bitPattern
    case .bfloat16: return number.bitPattern >> 16
    case .float16: return UInt32(truncatingIfNeeded: random.bits()) & 0xBFFF
    case .float8E4M3:
      let byte = UInt32(truncatingIfNeeded: random.bits()) & 0xFF
      return byte & 0x7F == 0x7F ? 0 : byte
    }
  }
}

/// Whether `value` is as near `expected` as float32 sums of terms that add up to `magnitude` in absolute value are.
func isNear(_ value: Float, _ expected: Double, magnitude: Double, tolerance: Double = 5e-7) -> Bool {
  abs(Double(value) - expected) <= tolerance * magnitude + 1e-44
}

/// Every instruction set this machine can run.
let usableKernels: [Kernels] = Kernels.usable().compactMap { try? Kernels.make($0) }

/// Column counts around every vector width and block size, and others that fit none.
let awkwardCounts = [1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 251, 257, 384, 1000]
