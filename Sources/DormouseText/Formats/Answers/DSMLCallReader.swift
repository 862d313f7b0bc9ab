/// The tags of DSML, DeepSeek's markup of calls since V3.2.
struct DSMLCallStyle: Sendable {
  /// Begins a parameter's tag, before its attributes.
  var parameterBegin: [UInt8]
  var parameterEnd: [UInt8]
  var callEnd: [UInt8]
  var sectionEnd: [UInt8]
}

/// Reads a call in DSML, behind `<｜DSML｜invoke`, and writes its parameters as an object in JSON: texts as they come,
/// other values when they are whole. A value that should be JSON and is none is text.
///
/// In place of parameters the model may write one object in JSON.
struct DSMLCallReader: CallReader {
  private enum Place { case head, body, parameter, text, json, object, end }

  private let style: DSMLCallStyle
  private let valueEnds: [[UInt8]]
  private var place = Place.head
  private var name: [UInt8] = []
  private var hasParameters = false
  /// The parameter that is read.
  private var parameter: [UInt8] = []
  /// Where in what is not passed on the attributes or the value begin that are read.
  private var contentStart = 0
  private var object = JSONArguments()

  init(style: DSMLCallStyle) {
    self.style = style
    valueEnds = [style.parameterEnd, style.callEnd, style.sectionEnd]
  }

  mutating func read(
    _ buffer: inout AnswerBuffer, _ writer: inout CallWriter, _ parts: inout AnswerParts
  ) -> CallProgress {
    while true {
      let progress: CallProgress? =
        switch place {
        case .head: readHead(&buffer, &writer, &parts)
        case .body: readBody(&buffer, &writer, &parts)
        case .parameter: readParameter(&buffer, &writer, &parts)
        case .text: readText(&buffer, writer, &parts)
        case .json: readJSON(&buffer, writer, &parts)
        case .object: readObject(&buffer, writer, &parts)
        case .end: readEnd(&buffer)
        }
      if let progress { return progress }
    }
  }

  // MARK: Each reads at its place; nil where another place follows.

  private mutating func readHead(
    _ buffer: inout AnswerBuffer, _ writer: inout CallWriter, _ parts: inout AnswerParts
  ) -> CallProgress? {
    guard var attributes = readTag(&buffer) else { return unfinished(buffer) }
    guard let value = attributes.value(of: "name"), ToolName.isValid(ToolName.trimmed(value)) else { return .broken }
    name = Array(ToolName.trimmed(value))
    guard attributes.isAtEnd else {
      guard attributes.closesTag else { return .broken }
      return finish(&buffer, &writer, &parts)
    }
    place = .body
    return nil
  }

  private mutating func readBody(
    _ buffer: inout AnswerBuffer, _ writer: inout CallWriter, _ parts: inout AnswerParts
  ) -> CallProgress? {
    buffer.skipSpace()
    if !hasParameters, buffer.next == UInt8(ascii: "{") {
      writer.writeName(name, to: &parts)
      buffer.pass()
      place = .object
      return nil
    }
    switch (buffer.matches(style.parameterBegin), buffer.take(style.callEnd)) {
    case (.yes, _):
      buffer.advance(style.parameterBegin.count)
      contentStart = buffer.read.count
      place = .parameter
      return nil
    case (_, .yes): return finish(&buffer, &writer, &parts)
    case (.partly, _), (_, .partly): return .unfinished
    case (.no, .no): return .broken
    }
  }

  private mutating func readParameter(
    _ buffer: inout AnswerBuffer, _ writer: inout CallWriter, _ parts: inout AnswerParts
  ) -> CallProgress? {
    guard var attributes = readTag(&buffer) else { return unfinished(buffer) }
    guard let key = attributes.value(of: "name"), let isText = attributes.value(of: "string"), attributes.isAtEnd,
      !key.isEmpty
    else { return .broken }
    parameter = Array(key)
    switch String(decoding: isText, as: UTF8.self) {
    case "true":
      writeKey(&writer, &parts)
      writer.writeArguments("\"", to: &parts)
      buffer.pass()
      place = .text
    case "false":
      contentStart = buffer.read.count
      place = .json
    default: return .broken
    }
    return nil
  }

  private mutating func readText(
    _ buffer: inout AnswerBuffer, _ writer: CallWriter, _ parts: inout AnswerParts
  ) -> CallProgress? {
    let progress = writer.passString(&buffer, upTo: valueEnds, to: &parts)
    guard progress == .finished else { return progress }
    endParameter(&buffer)
    return nil
  }

  private mutating func readJSON(
    _ buffer: inout AnswerBuffer, _ writer: CallWriter, _ parts: inout AnswerParts
  ) -> CallProgress? {
    guard let end = buffer.find(valueEnds) else { return buffer.isEnded ? .broken : .unfinished }
    guard end == 0 else { return .broken }
    var writer = writer
    writeKey(&writer, &parts)
    let text = ToolName.trimmed(buffer.read.dropFirst(contentStart))
    if JSONScanner.isValid(text) {
      writer.write(text, as: .toolArguments, to: &parts)
    } else {
      writer.writeString(text, to: &parts)
    }
    endParameter(&buffer)
    return nil
  }

  private mutating func readObject(
    _ buffer: inout AnswerBuffer, _ writer: CallWriter, _ parts: inout AnswerParts
  ) -> CallProgress? {
    let progress = object.read(&buffer, ends: valueEnds, writer, &parts)
    guard progress == .finished else { return progress }
    place = .end
    return nil
  }

  private func readEnd(_ buffer: inout AnswerBuffer) -> CallProgress {
    buffer.skipSpace()
    switch buffer.take(style.callEnd) {
    case .yes:
      buffer.pass()
      return .finished
    case .partly: return .unfinished
    case .no: return .broken
    }
  }

  // MARK: Pieces

  /// Reads the attributes of a tag, up to a `>` outside of quotes and over it; nil where there is none yet.
  private func readTag(_ buffer: inout AnswerBuffer) -> DSMLAttributes? {
    while buffer.find([[UInt8(ascii: ">")]], limit: contentStart + ToolName.limit) != nil {
      let attributes = buffer.read.dropFirst(contentStart)
      buffer.advance()
      let quotes = attributes.reduce(into: 0) { $0 += $1 == UInt8(ascii: "\"") ? 1 : 0 }
      if quotes.isMultiple(of: 2) { return DSMLAttributes(attributes) }
    }
    return nil
  }

  /// Where a tag has no end yet.
  private func unfinished(_ buffer: AnswerBuffer) -> CallProgress {
    buffer.isEnded || buffer.read.count - contentStart >= ToolName.limit ? .broken : .unfinished
  }

  /// Begins a member, and before the first the call.
  private mutating func writeKey(_ writer: inout CallWriter, _ parts: inout AnswerParts) {
    if !hasParameters { writer.writeName(name, to: &parts) }
    writer.writeKey(parameter, isFirst: !hasParameters, to: &parts)
    hasParameters = true
  }

  private mutating func endParameter(_ buffer: inout AnswerBuffer) {
    buffer.advance(style.parameterEnd.count)
    buffer.pass()
    place = .body
  }

  private func finish(
    _ buffer: inout AnswerBuffer, _ writer: inout CallWriter, _ parts: inout AnswerParts
  ) -> CallProgress {
    if !hasParameters { writer.writeName(name, to: &parts) }
    writer.writeArguments(hasParameters ? "}" : "{}", to: &parts)
    buffer.pass()
    return .finished
  }
}

/// What stands in a tag behind its name: ` name="value"`, one behind the other.
private struct DSMLAttributes {
  private var rest: ArraySlice<UInt8>

  init(_ text: ArraySlice<UInt8>) { rest = text }

  /// Whether nothing is left but white space.
  var isAtEnd: Bool { rest.allSatisfy(AnswerBuffer.isSpace) }
  /// Whether what is left says that the tag has no body.
  var closesTag: Bool { ToolName.trimmed(rest).elementsEqual("/".utf8) }

  /// Reads the next attribute, which must have this name.
  mutating func value(of name: String) -> ArraySlice<UInt8>? {
    guard let first = rest.first, AnswerBuffer.isSpace(first) else { return nil }
    let text = rest.drop(while: AnswerBuffer.isSpace)
    let head = Array("\(name)=\"".utf8)
    guard text.starts(with: head) else { return nil }
    let value = text.dropFirst(head.count)
    guard let end = value.firstIndex(of: UInt8(ascii: "\"")) else { return nil }
    rest = value[(end + 1)...]
    return value[..<end]
  }
}
