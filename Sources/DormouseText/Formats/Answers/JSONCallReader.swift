/// How a family writes calls whose arguments are an object in JSON: a head with the function's name, the object, an end.
struct JSONCallStyle: Sendable {
  /// Stands before the name.
  var nameBegin: [UInt8] = []
  /// Ends the head.
  var headEnd: [UInt8]
  /// May stand between the object and the call's end.
  var fence: [UInt8] = []
  var callEnd: [UInt8]
  /// What ends a call that has not ended itself: the next one, or the end of all.
  var otherEnds: [[UInt8]]
  /// Whether the head is an id with the name in it (`functions.NAME:NUMBER`).
  var hasID = false
}

/// Reads such a call. Its name is told once the arguments are seen to be an object, and the object as it comes.
struct JSONCallReader: CallReader {
  private enum Place { case head, beforeArguments, arguments, behindArguments, behindFence }

  private let style: JSONCallStyle
  private let headEnds: [[UInt8]]
  private let ends: [[UInt8]]
  private var place = Place.head
  private var arguments = JSONArguments()
  /// Name and id.
  private var name: [UInt8] = []
  private var id: [UInt8] = []

  init(style: JSONCallStyle) {
    self.style = style
    ends = [style.callEnd] + style.otherEnds
    headEnds = [style.headEnd] + ends
  }

  mutating func read(
    _ buffer: inout AnswerBuffer, _ writer: inout CallWriter, _ parts: inout AnswerParts
  ) -> CallProgress {
    while true {
      switch place {
      case .head:
        guard let progress = readHead(&buffer) else { continue }
        return progress
      case .beforeArguments:
        buffer.skipSpace()
        guard let byte = buffer.next else { return buffer.isEnded ? .broken : .unfinished }
        guard byte == UInt8(ascii: "{") else { return .broken }
        writer.writeName(name, id: String(decoding: id, as: UTF8.self), to: &parts)
        buffer.pass()
        place = .arguments
      case .arguments:
        let progress = arguments.read(&buffer, ends: ends, writer, &parts)
        guard progress == .finished else { return progress }
        place = .behindArguments
      case .behindArguments:
        buffer.skipSpace()
        switch style.fence.isEmpty ? .no : buffer.take(style.fence) {
        case .partly: return .unfinished
        case .yes, .no: place = .behindFence
        }
      case .behindFence: return readEnd(&buffer)
      }
    }
  }

  /// - Returns: nil where the head is read.
  private mutating func readHead(_ buffer: inout AnswerBuffer) -> CallProgress? {
    let end = buffer.find(headEnds)
    guard buffer.read.count <= ToolName.limit else { return .broken }
    guard let end else { return buffer.isEnded ? .broken : .unfinished }
    guard end == 0, readName(buffer.read) else { return .broken }
    buffer.advance(style.headEnd.count)
    place = .beforeArguments
    return nil
  }

  private mutating func readName(_ head: ArraySlice<UInt8>) -> Bool {
    guard head.starts(with: style.nameBegin) else { return false }
    var rest = ToolName.trimmed(head.dropFirst(style.nameBegin.count))
    if style.hasID {
      id = Array(rest)
      guard let colon = rest.lastIndex(of: UInt8(ascii: ":")), colon + 1 < rest.endIndex,
        rest[(colon + 1)...].allSatisfy({ (0x30...0x39).contains($0) })
      else { return false }
      rest = rest[..<colon]
      let namespace = Array("functions.".utf8)
      if rest.starts(with: namespace) { rest = rest.dropFirst(namespace.count) }
    }
    name = Array(rest)
    return ToolName.isValid(rest)
  }

  /// The object is whole, and so is the call: also where the answer or another call's beginning ends it.
  private func readEnd(_ buffer: inout AnswerBuffer) -> CallProgress {
    buffer.skipSpace()
    var mayEnd = buffer.isAtEnd
    for end in ends where !mayEnd {
      switch buffer.matches(end) {
      case .yes:
        buffer.pass()
        if end == style.callEnd {
          buffer.advance(end.count)
          buffer.pass()
        }
        return .finished
      case .partly: mayEnd = true
      case .no: break
      }
    }
    guard mayEnd else { return .broken }
    guard buffer.isEnded else { return .unfinished }
    buffer.pass()
    return .finished
  }
}
