/// The markers of calls whose arguments are keys and values, as GLM writes them.
struct KeyedCallStyle: Sendable {
  var keyBegin: [UInt8]
  var keyEnd: [UInt8]
  var valueBegin: [UInt8]
  var valueEnd: [UInt8]
  var callEnd: [UInt8]
  /// Begins the next call.
  var callBegin: [UInt8]
}

/// Reads such a call, and writes its arguments as an object in JSON.
///
/// A value has no type of its own: it is the JSON that it reads as if the tool's schema allows that type or says nothing,
/// and text otherwise. Parameters that are texts for sure are passed on as they come, others when they are whole.
struct KeyedCallReader: CallReader {
  private enum Place { case name, body, key, beforeValue, text, value }

  private let style: KeyedCallStyle
  private let parameters: ToolParameters
  private let nameEnds: [[UInt8]]
  private let keyEnds: [[UInt8]]
  private let valueEnds: [[UInt8]]
  private var place = Place.name
  private var name: [UInt8] = []
  private var key: [UInt8] = []
  /// What the schema allows for the key's value; nil where it does not say.
  private var types: Set<ToolParameters.ValueType>?
  private var hasArguments = false
  /// Where in what is not passed on the key or value begins that is read.
  private var contentStart = 0

  init(style: KeyedCallStyle, parameters: ToolParameters) {
    self.style = style
    self.parameters = parameters
    nameEnds = [style.keyBegin, style.callEnd, style.callBegin]
    keyEnds = [style.keyEnd, style.callEnd, style.callBegin]
    valueEnds = [style.valueEnd, style.callEnd]
  }

  mutating func read(
    _ buffer: inout AnswerBuffer, _ writer: inout CallWriter, _ parts: inout AnswerParts
  ) -> CallProgress {
    while true {
      let progress: CallProgress? =
        switch place {
        case .name: readName(&buffer, &writer, &parts)
        case .body: readBody(&buffer, writer, &parts)
        case .key: readKey(&buffer)
        case .beforeValue: readValueBegin(&buffer, writer, &parts)
        case .text: readText(&buffer, writer, &parts)
        case .value: readValue(&buffer, writer, &parts)
        }
      if let progress { return progress }
    }
  }

  // MARK: Each reads at its place; nil where another place follows.

  private mutating func readName(
    _ buffer: inout AnswerBuffer, _ writer: inout CallWriter, _ parts: inout AnswerParts
  ) -> CallProgress? {
    let end = buffer.find(nameEnds)
    guard buffer.read.count <= ToolName.limit else { return .broken }
    guard let end else { return buffer.isEnded ? .broken : .unfinished }
    let text = ToolName.trimmed(buffer.read)
    guard end < 2, ToolName.isValid(text) else { return .broken }
    name = Array(text)
    writer.writeName(name, to: &parts)
    buffer.pass()
    place = .body
    return nil
  }

  private mutating func readBody(
    _ buffer: inout AnswerBuffer, _ writer: CallWriter, _ parts: inout AnswerParts
  ) -> CallProgress? {
    buffer.skipSpace()
    switch (buffer.matches(style.keyBegin), buffer.take(style.callEnd)) {
    case (.yes, _):
      buffer.advance(style.keyBegin.count)
      contentStart = buffer.read.count
      place = .key
      return nil
    case (_, .yes):
      writer.writeArguments(hasArguments ? "}" : "{}", to: &parts)
      buffer.pass()
      return .finished
    case (.partly, _), (_, .partly): return .unfinished
    case (.no, .no): return .broken
    }
  }

  private mutating func readKey(_ buffer: inout AnswerBuffer) -> CallProgress? {
    let end = buffer.find(keyEnds)
    let text = buffer.read.dropFirst(contentStart)
    guard text.count <= ToolName.limit else { return .broken }
    guard let end else { return buffer.isEnded ? .broken : .unfinished }
    guard end == 0 else { return .broken }
    key = Array(ToolName.trimmed(text))
    types = parameters.types(of: key, in: name)
    buffer.advance(style.keyEnd.count)
    place = .beforeValue
    return nil
  }

  private mutating func readValueBegin(
    _ buffer: inout AnswerBuffer, _ writer: CallWriter, _ parts: inout AnswerParts
  ) -> CallProgress? {
    buffer.skipSpace()
    switch buffer.take(style.valueBegin) {
    case .no: return .broken
    case .partly: return .unfinished
    case .yes: break
    }
    contentStart = buffer.read.count
    place = .value
    if types == [.string] {
      writeKey(writer, &parts)
      writer.writeArguments("\"", to: &parts)
      buffer.pass()
      place = .text
    }
    return nil
  }

  private mutating func readText(
    _ buffer: inout AnswerBuffer, _ writer: CallWriter, _ parts: inout AnswerParts
  ) -> CallProgress? {
    let progress = writer.passString(&buffer, upTo: valueEnds, to: &parts)
    guard progress == .finished else { return progress }
    endValue(&buffer)
    return nil
  }

  private mutating func readValue(
    _ buffer: inout AnswerBuffer, _ writer: CallWriter, _ parts: inout AnswerParts
  ) -> CallProgress? {
    guard let end = buffer.find(valueEnds) else { return buffer.isEnded ? .broken : .unfinished }
    guard end == 0 else { return .broken }
    let text = buffer.read.dropFirst(contentStart)
    writeKey(writer, &parts)
    if isJSON(text) {
      writer.write(ToolName.trimmed(text), as: .toolArguments, to: &parts)
    } else {
      writer.writeString(text, to: &parts)
    }
    endValue(&buffer)
    return nil
  }

  // MARK: Pieces

  /// Whether `text` is JSON of a type that the schema allows, or could be nothing better: a text that the schema forbids.
  private func isJSON(_ text: ArraySlice<UInt8>) -> Bool {
    guard JSONScanner.isValid(text) else { return false }
    guard let types, types.contains(.string) else { return true }
    return types.contains(ToolParameters.ValueType(ofJSON: ToolName.trimmed(text)))
  }

  private mutating func writeKey(_ writer: CallWriter, _ parts: inout AnswerParts) {
    writer.writeKey(key, isFirst: !hasArguments, to: &parts)
    hasArguments = true
  }

  private mutating func endValue(_ buffer: inout AnswerBuffer) {
    buffer.advance(style.valueEnd.count)
    buffer.pass()
    place = .body
  }
}
