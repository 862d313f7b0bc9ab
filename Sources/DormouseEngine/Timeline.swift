import DormouseCache
import DormouseMedia
import DormouseModel

/// Positions of a timeline that an image, video or audio takes.
struct MediaSpan: Sendable {
  var positions: Range<Int>
  /// What stands at each of them.
  var keys: ArraySlice<PositionKey>
  /// Nil for what a saved session has held: only its rows in the cache are known.
  var content: MediaContent?
  /// The content's row at the first position.
  var firstRow: Int

  /// Some rows of a content, from `position` on.
  init(_ content: MediaContent, rows: Range<Int>, at position: Int) {
    positions = position..<position + rows.count
    keys = rows.map { PositionKey(contentHash: content.hash.value, index: $0) }[...]
    self.content = content
    firstRow = rows.lowerBound
  }

  /// Positions whose content is not known.
  init(keys: ArraySlice<PositionKey>, at position: Int) {
    positions = position..<position + keys.count
    self.keys = keys
    firstRow = 0
  }

  /// The part of it that lies in `range`; nil for none.
  func clamped(to range: Range<Int>) -> MediaSpan? {
    let kept = positions.clamped(to: range)
    guard !kept.isEmpty else { return nil }
    var part = self
    let skipped = kept.lowerBound - positions.lowerBound
    part.positions = kept
    part.keys = keys.dropFirst(skipped).prefix(kept.count)
    part.firstRow += skipped
    return part
  }

  func moved(by distance: Int) -> MediaSpan {
    var moved = self
    moved.positions = positions.lowerBound + distance..<positions.upperBound + distance
    return moved
  }
}

/// What stands at the positions of a session or of a prompt: tokens, and in their midst media.
///
/// A position of media has a token too, which stands for nothing but its place.
struct Timeline: Sendable {
  private(set) var tokens: [Int32] = []
  /// In order.
  private(set) var spans: [MediaSpan] = []
  /// The rows of those spans that are encoded, in order; their contents keep the memory.
  private(set) var embeddedRows: [EmbeddedRows] = []

  init() {}

  /// - Parameter tokens: those of positions in `spans` may be of no vocabulary, and are forgotten.
  init(tokens: [Int32], spans: [MediaSpan] = []) {
    self.tokens = tokens
    self.spans = spans
    for position in spans.lazy.flatMap(\.positions) { self.tokens[position] = 0 }
  }

  /// What a saved session has held: media without their content.
  init(keys: [PositionKey]) {
    tokens = keys.map { $0.token ?? 0 }
    var start: Int?
    for (index, key) in keys.enumerated() where (key.token == nil) != (start != nil) {
      if let first = start { spans.append(MediaSpan(keys: keys[first..<index], at: first)) }
      start = start == nil ? index : nil
    }
    if let first = start { spans.append(MediaSpan(keys: keys[first...], at: first)) }
  }

  var count: Int { tokens.count }

  /// The tokens that are no media.
  var textTokens: [Int32] {
    guard !spans.isEmpty else { return tokens }
    var (result, end): ([Int32], Int) = ([], 0)
    for span in spans {
      result += tokens[end..<span.positions.lowerBound]
      end = span.positions.upperBound
    }
    return result + tokens[end...]
  }

  /// Positions of media whose content is known.
  var mediaCounts: MediaCounts {
    spans.reduce(into: MediaCounts()) { counts, span in
      switch span.content?.modality {
      case .image: counts.image += span.positions.count
      case .video: counts.video += span.positions.count
      case .audio: counts.audio += span.positions.count
      case nil: break
      }
    }
  }

  mutating func reserveCapacity(_ count: Int) { tokens.reserveCapacity(count) }

  mutating func append(_ token: Int32) { tokens.append(token) }

  mutating func append(contentsOf more: some Collection<Int32>) { tokens.append(contentsOf: more) }

  /// Appends what `other` has from its position `first` on.
  mutating func append(_ other: Timeline, from first: Int) {
    let distance = count - first
    tokens.append(contentsOf: other.tokens[first...])
    let added = other.spans.compactMap { $0.clamped(to: first..<other.count)?.moved(by: distance) }
    guard !added.isEmpty else { return }
    spans += added
    collectRows()
  }

  /// Keeps the first `length` positions.
  mutating func truncate(to length: Int) {
    tokens.removeLast(count - length)
    guard let last = spans.last, last.positions.upperBound > length else { return }
    spans = spans.compactMap { $0.clamped(to: 0..<length) }
    collectRows()
  }

  /// Takes positions out; what is behind them moves up.
  mutating func remove(_ range: Range<Int>) {
    tokens.removeSubrange(range)
    guard !spans.isEmpty else { return }
    let end = spans.last.map { $0.positions.upperBound } ?? 0
    spans = spans.flatMap { span in
      [
        span.clamped(to: 0..<range.lowerBound),
        span.clamped(to: range.upperBound..<max(range.upperBound, end))?.moved(by: -range.count),
      ].compactMap { $0 }
    }
    collectRows()
  }

  /// Looks which contents are encoded by now.
  mutating func collectRows() {
    embeddedRows = spans.compactMap { span in
      guard let rows = span.content?.rows?.pointer else { return nil }
      return EmbeddedRows(positions: span.positions, rows: rows, firstRow: span.firstRow)
    }
  }

  /// The keys of the positions in `range`.
  func keys(_ range: Range<Int>) -> [PositionKey] {
    var keys = tokens[range].map { PositionKey(token: $0) }
    for span in spans {
      guard let part = span.clamped(to: range) else { continue }
      keys.replaceSubrange(
        part.positions.lowerBound - range.lowerBound..<part.positions.upperBound - range.lowerBound, with: part.keys)
    }
    return keys
  }

  /// Positions from the beginning on in which both have the same.
  func commonCount(with other: Timeline) -> Int {
    if spans.isEmpty, other.spans.isEmpty { return zip(tokens, other.tokens).prefix { $0 == $1 }.count }
    return zip(keys(0..<count), other.keys(0..<other.count)).prefix { $0 == $1 }.count
  }

  /// Where this one holds media without their content and `other` the same with it, takes it over.
  mutating func adoptContents(of other: Timeline) {
    let common = commonCount(with: other)
    guard spans.contains(where: { $0.content == nil && $0.positions.lowerBound < common }) else { return }
    spans =
      other.spans.compactMap { $0.clamped(to: 0..<common) }
      + spans.compactMap { $0.clamped(to: common..<max(common, count)) }
    collectRows()
  }
}
