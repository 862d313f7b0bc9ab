import DormouseCache
import DormouseMedia
import DormouseSupport
import Testing

@testable import DormouseEngine

/// Spans of media in a timeline, against a plain list of what stands at each position.
@Suite struct TimelineTests {
  /// A content with a row of one number for each position: its index.
  private func content(_ count: Int, seed: Int) throws -> MediaContent {
    let hash = ContentHash([UInt8](repeating: UInt8(seed % 250 + 1), count: 8))
    let content = MediaContent(PreparedRows(rowCount: count, contentHash: hash))
    let memory = try AlignedBuffer(byteCount: 4 * count, for: "rows")
    for index in 0..<count { memory.bound(to: Float.self)[index] = Float(index) }
    let reservation = try MemoryBudget(limit: nil, name: "test").reserve(0, for: "rows")
    content.complete(MediaContent.Rows(memory: memory, reservation: reservation))
    return content
  }

  /// What stands at a position: a token, or a row of a content.
  private enum Place: Equatable {
    case token(Int32)
    case row(ContentHash, Int)
  }

  private func check(_ timeline: Timeline, _ places: [Place], _ what: String) {
    let keys = places.map { place in
      switch place {
      case .token(let token): PositionKey(token: token)
      case .row(let hash, let index): PositionKey(contentHash: hash.value, index: index)
      }
    }
    #expect(timeline.count == places.count && timeline.keys(0..<timeline.count) == keys, "\(what)")
    var rows = [Float?](repeating: nil, count: places.count)
    for embedded in timeline.embeddedRows {
      for position in embedded.positions where rows.indices.contains(position) {
        rows[position] = embedded.rows[embedded.firstRow + position - embedded.positions.lowerBound]
      }
    }
    let wanted: [Float?] = places.map { place in
      if case .row(_, let index) = place { return Float(index) }
      return nil
    }
    #expect(rows == wanted, "\(what)")
    let text: [Int32] = places.compactMap { place in
      if case .token(let token) = place { return token }
      return nil
    }
    #expect(timeline.textTokens == text, "\(what)")
  }

  @Test func spansFollowEveryChange() throws {
    var random = Random(state: 7)
    for round in 0..<200 {
      var timeline = Timeline()
      var places: [Place] = []
      for step in 0..<12 {
        switch random.next() % 5 {
        case 0, 1:
          let other = try some(&random)
          let first = Int.random(in: 0...other.places.count, using: &random)
          timeline.append(other.timeline, from: first)
          places += other.places[first...]
        case 2:
          let length = Int.random(in: 0...places.count, using: &random)
          timeline.truncate(to: length)
          places = Array(places.prefix(length))
        case 3:
          let start = Int.random(in: 0...places.count, using: &random)
          let end = Int.random(in: start...places.count, using: &random)
          timeline.remove(start..<end)
          places.removeSubrange(start..<end)
        default:
          timeline.append(9)
          places.append(.token(9))
        }
        check(timeline, places, "round \(round), step \(step)")
      }
    }
  }

  /// A saved session's media have no content: a prompt brings it for all that both have in common, and for no more.
  @Test func contentsAreAdopted() throws {
    var random = Random(state: 3)
    for round in 0..<200 {
      let (begin, end, other) = (try some(&random), try some(&random), try some(&random))
      var prompt = begin.timeline
      prompt.append(other.timeline, from: 0)
      var held = begin.timeline
      held.append(end.timeline, from: 0)
      let places = begin.places + end.places
      var restored = Timeline(keys: held.keys(0..<held.count))
      #expect(restored.embeddedRows.isEmpty && restored.commonCount(with: held) == held.count)
      let common = restored.commonCount(with: prompt)
      #expect(common == zip(places, begin.places + other.places).prefix { $0 == $1 }.count)
      restored.adoptContents(of: prompt)
      #expect(restored.keys(0..<restored.count) == held.keys(0..<held.count), "round \(round)")
      var known = [Bool](repeating: false, count: restored.count)
      for span in restored.spans where span.content != nil { for position in span.positions { known[position] = true } }
      let wanted = places.enumerated().map { index, place in
        if case .row = place { return index < common }
        return false
      }
      #expect(known == wanted, "round \(round)")
      // What is known can be evaluated: its rows are there.
      #expect(restored.embeddedRows.reduce(0) { $0 + $1.positions.count } == wanted.count { $0 }, "round \(round)")
      var counts = MediaCounts()
      counts.image = wanted.count { $0 }
      #expect(restored.mediaCounts == counts)
    }
  }

  /// A prompt of tokens with one or two contents in it.
  private func some(_ random: inout Random) throws -> (timeline: Timeline, places: [Place]) {
    var places: [Place] = []
    var spans: [MediaSpan] = []
    for _ in 0..<Int.random(in: 1...2, using: &random) {
      places += (0..<Int.random(in: 0...3, using: &random)).map { .token(Int32($0)) }
      let content = try content(Int.random(in: 1...6, using: &random), seed: Int(random.next() % 100))
      spans.append(MediaSpan(content, rows: 0..<content.count, at: places.count))
      places += (0..<content.count).map { .row(content.hash, $0) }
    }
    let tokens: [Int32] = places.map { place in
      if case .token(let token) = place { return token }
      return -5
    }
    return (Timeline(tokens: tokens, spans: spans), places)
  }
}
