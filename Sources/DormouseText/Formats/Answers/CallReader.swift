/// Reads one call of a tool: what stands behind the marker that begins it, up to and with the one that ends it.
protocol CallReader: Sendable {
  /// Reads what has come.
  ///
  /// What is passed on in `buffer` is written to `parts`; the rest is the call's text so far, which is given as it is
  /// where the call proves broken.
  mutating func read(
    _ buffer: inout AnswerBuffer, _ writer: inout CallWriter, _ parts: inout AnswerParts
  ) -> CallProgress
}

/// How far a call is.
enum CallProgress {
  /// More must come.
  case unfinished
  case finished
  /// It is none from what is not passed on; where the answer has ended that may be nothing.
  case broken
}

/// Writes the parts of calls.
struct CallWriter: Sendable {
  var markers: AnswerMarkers
  private var toolIndex = -1
  private var toolID = ""

  init(markers: AnswerMarkers) { self.markers = markers }

  /// Begins the next call.
  mutating func beginCall() {
    toolIndex += 1
    toolID = ""
  }

  func write(_ text: ArraySlice<UInt8>, as part: AnswerPart, to parts: inout AnswerParts) {
    let (index, id) = part.belongsToCall ? (toolIndex, toolID) : (0, "")
    markers.forEachRun(of: text) { parts.append($0, to: part, toolIndex: index, toolID: id) }
  }

  mutating func writeName(_ name: [UInt8], id: String = "", to parts: inout AnswerParts) {
    toolID = id
    write(name[...], as: .toolName, to: &parts)
  }

  /// Says that the rest of the call is broken, also where there is none.
  func breakCall(_ parts: inout AnswerParts) {
    parts.append(EmptyCollection(), to: .brokenCall, toolIndex: toolIndex, toolID: toolID)
  }

  func writeArguments(_ json: StaticString, to parts: inout AnswerParts) {
    json.withUTF8Buffer { parts.append($0, to: .toolArguments, toolIndex: toolIndex, toolID: toolID) }
  }

  /// Writes text within a string of the arguments.
  func writeEscaped(_ text: ArraySlice<UInt8>, to parts: inout AnswerParts) {
    markers.forEachRun(of: text) { run in
      var rest = run
      while let index = rest.firstIndex(where: { $0 < 0x20 || $0 == 0x22 || $0 == 0x5C }) {
        write(rest[..<index], as: .toolArguments, to: &parts)
        writeEscape(of: rest[index], to: &parts)
        rest = rest[(index + 1)...]
      }
      write(rest, as: .toolArguments, to: &parts)
    }
  }

  private func writeEscape(of byte: UInt8, to parts: inout AnswerParts) {
    switch byte {
    case 0x22: writeArguments("\\\"", to: &parts)
    case 0x5C: writeArguments("\\\\", to: &parts)
    case 0x08: writeArguments("\\b", to: &parts)
    case 0x09: writeArguments("\\t", to: &parts)
    case 0x0A: writeArguments("\\n", to: &parts)
    case 0x0C: writeArguments("\\f", to: &parts)
    case 0x0D: writeArguments("\\r", to: &parts)
    default:
      writeArguments(byte < 0x10 ? "\\u000" : "\\u001", to: &parts)
      let digit = byte & 0x0F
      write([digit < 10 ? 0x30 + digit : 0x57 + digit], as: .toolArguments, to: &parts)
    }
  }

  /// Writes text as a string of the arguments.
  func writeString(_ text: ArraySlice<UInt8>, to parts: inout AnswerParts) {
    writeArguments("\"", to: &parts)
    writeEscaped(text, to: &parts)
    writeArguments("\"", to: &parts)
  }

  /// Passes on what has come of a string whose beginning is written.
  /// - Returns: `finished` at the first of `ends`, `broken` at another one.
  func passString(_ buffer: inout AnswerBuffer, upTo ends: [[UInt8]], to parts: inout AnswerParts) -> CallProgress {
    let end = buffer.find(ends)
    writeEscaped(buffer.read, to: &parts)
    buffer.pass()
    guard let end else { return buffer.isEnded ? .broken : .unfinished }
    guard end == 0 else { return .broken }
    writeArguments("\"", to: &parts)
    return .finished
  }

  /// Writes `"name": `, behind what goes before it in an object.
  func writeKey(_ name: [UInt8], isFirst: Bool, to parts: inout AnswerParts) {
    writeArguments(isFirst ? "{\"" : ", \"", to: &parts)
    writeEscaped(name[...], to: &parts)
    writeArguments("\": ", to: &parts)
  }
}

extension AnswerPart {
  fileprivate var belongsToCall: Bool {
    switch self {
    case .content, .reasoning: false
    case .toolName, .toolArguments, .brokenCall: true
    }
  }
}

/// What a call may name.
enum ToolName {
  /// Bytes of a call's head, of a name or of a parameter's name, at most: nothing longer is one.
  static let limit = 1024

  /// Letters, digits, `_-.:/@` and whatever ASCII has not.
  static func isValid(_ name: ArraySlice<UInt8>) -> Bool {
    !name.isEmpty && name.count <= limit
      && name.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x2D, 0x2E, 0x3A, 0x2F, 0x40: true
        default: byte >= 0x80 && !AnswerMarkers.isMarker(byte)
        }
      }
  }

  /// Without the white space at both ends.
  static func trimmed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let rest = text.drop(while: AnswerBuffer.isSpace)
    guard let last = rest.lastIndex(where: { !AnswerBuffer.isSpace($0) }) else { return rest.prefix(0) }
    return rest[...last]
  }
}
