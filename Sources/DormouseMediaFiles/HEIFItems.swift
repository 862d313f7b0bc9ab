import DormouseSupport

/// The coded images inside of a HEIC or AVIF, as its box `meta` lists them (ISO/IEC 14496-12, 8.11), and where their
/// bytes stand. What can't be read is left out here; libheif is left to complain.
struct HEIFItems {
  struct Item {
    /// "hvc1" or "av01".
    var kind: String
    var data: SourceParts
  }

  private(set) var items: [Item] = []
  /// The parameters of HEVC images (boxes `hvcC`).
  private(set) var parameters: [[UInt8]] = []

  private let source: ByteSource
  private let watch: MediaWatch
  private var kinds: [Int: String] = [:]
  private var places: [Int: (isInside: Bool, extents: [Range<Int>])] = [:]
  private var inside = 0..<0

  /// Bytes of a box that are read as a whole.
  private static let boxLimit = 16 << 20
  private static let parameterLimit = 64

  init(_ source: ByteSource, watch: MediaWatch) throws(Failure) {
    self.source = source
    self.watch = watch
    try walk(0..<source.count, depth: 0)
    for (identifier, kind) in kinds where kind == "hvc1" || kind == "av01" {
      guard let place = places[identifier] else { continue }
      let room = place.isInside ? inside : 0..<source.count
      let extents = place.extents.map { extent in
        let start = room.lowerBound + min(extent.lowerBound, room.count)
        return start..<min(start + extent.count, room.upperBound)
      }
      items.append(Item(kind: kind, data: SourceParts(source, extents.filter { !$0.isEmpty })))
    }
  }

  /// Boxes of a size, a name and data, one behind the other.
  private mutating func walk(_ range: Range<Int>, depth: Int) throws(Failure) {
    var offset = range.lowerBound
    while offset <= range.upperBound - 8 {
      try watch.check()
      let header = try source.prefix(16, from: offset)
      guard header.count >= 8 else { return }
      var (size, start) = (Int(clamping: Self.number(header[..<4])), offset + 8)
      if size == 1, header.count == 16 { (size, start) = (Int(clamping: Self.number(header[8...])), offset + 16) }
      let end = size == 0 || size > range.upperBound - offset ? range.upperBound : offset + size
      guard end >= start else { return }
      try read(String(decoding: header[4..<8], as: UTF8.self), start..<end, depth: depth)
      offset = end
    }
  }

  private mutating func read(_ name: String, _ range: Range<Int>, depth: Int) throws(Failure) {
    switch (depth, name) {
    case (0, "meta"): try walk(min(range.lowerBound + 4, range.upperBound)..<range.upperBound, depth: 1)
    case (1, "iprp"), (2, "ipco"): try walk(range, depth: depth + 1)
    case (1, "iinf"):
      let isLong = try source.prefix(1, from: range.lowerBound) != [0]
      try walk(min(range.lowerBound + (isLong ? 8 : 6), range.upperBound)..<range.upperBound, depth: 10)
    case (10, "infe"): addKind(try bytes(range))
    case (1, "iloc"): addPlaces(try bytes(range))
    case (1, "idat"): inside = range
    case (3, "hvcC") where parameters.count < HEIFItems.parameterLimit: parameters.append(try bytes(range))
    default: break
    }
  }

  private func bytes(_ range: Range<Int>) throws(Failure) -> [UInt8] {
    try source.prefix(min(range.count, HEIFItems.boxLimit), from: range.lowerBound)
  }

  /// 8.11.6: version 2 has a number of 16 bits, version 3 one of 32.
  private mutating func addKind(_ bytes: [UInt8]) {
    var fields = Fields(bytes)
    let version = fields.next(1)
    _ = fields.next(3)
    let identifier = fields.next(version == 3 ? 4 : 2)
    _ = fields.next(2)
    let kind = fields.next(4)
    guard version >= 2, !fields.isCut else { return }
    let name = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: kind >> $0) }
    kinds[identifier] = String(decoding: name, as: UTF8.self)
  }

  /// 8.11.3.
  private mutating func addPlaces(_ bytes: [UInt8]) {
    var fields = Fields(bytes)
    let version = fields.next(1)
    _ = fields.next(3)
    let (sizes, moreSizes) = (fields.next(1), fields.next(1))
    let (offsetSize, lengthSize, baseSize) = (sizes >> 4, sizes & 15, moreSizes >> 4)
    let indexSize = version > 0 ? moreSizes & 15 : 0
    let count = fields.next(version < 2 ? 2 : 4)
    for _ in 0..<count {
      let identifier = fields.next(version < 2 ? 2 : 4)
      let method = version > 0 ? fields.next(2) & 15 : 0
      _ = fields.next(2)
      let base = fields.next(baseSize)
      var extents: [Range<Int>] = []
      for _ in 0..<fields.next(2) where !fields.isCut {
        _ = fields.next(indexSize)
        let (start, overflow) = base.addingReportingOverflow(fields.next(offsetSize))
        let length = fields.next(lengthSize)
        // No length means all that is there; what lies outside of the file is cut off later.
        let (end, isBeyond) = start.addingReportingOverflow(length)
        if !overflow { extents.append(start..<(length == 0 || isBeyond ? Int.max : end)) }
      }
      guard !fields.isCut else { return }
      places[identifier] = (method == 1, extents)
    }
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }

  /// Numbers one behind the other, the highest byte first; 0 behind the end.
  private struct Fields {
    private let bytes: [UInt8]
    private var offset = 0
    private(set) var isCut = false

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func next(_ byteCount: Int) -> Int {
      guard byteCount <= bytes.count - offset else {
        isCut = true
        return 0
      }
      offset += byteCount
      return Int(clamping: HEIFItems.number(bytes[offset - byteCount..<offset]))
    }
  }
}
