/// Reads answers of all families that an `AnswerSyntax` describes.
///
/// Content and reasoning are passed on as they come, but what may yet become a marker, and white space that a marker
/// behind it would take away. Calls are left to a `CallReader`.
struct MarkedAnswerParser: AnswerParser {
  private enum Place {
    /// Nothing but white space has come; whether the prompt or a marker has begun the reasoning.
    case beginning(isReasoning: Bool)
    case reasoning
    case content
    /// Behind the marker that begins the calls.
    case sectionBegin
    /// Between calls.
    case section
    case call
    case brokenCall
  }

  private let syntax: AnswerSyntax
  private let parameters: ToolParameters
  private let tools: AnswerSyntax.Tools?
  private let reasoningEnds: [[UInt8]]
  private let callBegins: [[UInt8]]
  private let sectionEnds: [[UInt8]]
  private let brokenEnds: [[UInt8]]

  private var place: Place
  /// Whether white space that begins a part is left out.
  private var leavesOutSpace: Bool
  private var buffer = AnswerBuffer()
  private var writer: CallWriter
  private var reader: (any CallReader)?

  /// - Parameters:
  ///   - isReasoning: whether the prompt has begun the reasoning.
  ///   - isContinued: whether it has written some of the part that the answer goes on with.
  ///   - parameters: what is known of the tools that may be called; nil where none may.
  init(_ syntax: AnswerSyntax, isReasoning: Bool, isContinued: Bool, parameters: ToolParameters?) {
    self.syntax = syntax
    self.parameters = parameters ?? ToolParameters()
    let tools = parameters == nil ? nil : syntax.tools
    self.tools = tools
    let sectionBegin = tools?.section.map { [$0.begin] } ?? []
    let sectionEnd = tools?.section.map { [$0.end] } ?? []
    callBegins = (tools.map { [$0.callBegin] } ?? []) + sectionBegin
    sectionEnds = callBegins + sectionEnd
    brokenEnds = (tools.map { [$0.calls.end] } ?? []) + sectionEnds
    reasoningEnds = (syntax.reasoning.map { [$0.end] } ?? []) + (tools?.endReasoning == true ? callBegins : [])
    writer = CallWriter(markers: syntax.markers)
    leavesOutSpace = !isContinued
    place =
      switch (syntax.reasoning, isContinued) {
      case (nil, _): .content
      case (_, true): isReasoning ? .reasoning : .content
      case (_, false): .beginning(isReasoning: isReasoning)
      }
  }

  var part: AnswerPart {
    switch place {
    case .beginning(let isReasoning): isReasoning ? .reasoning : .content
    case .reasoning: .reasoning
    case .content: .content
    case .sectionBegin, .section, .call, .brokenCall: .toolArguments
    }
  }

  mutating func append(_ token: Int32, text: [UInt8], to parts: inout AnswerParts) {
    writer.markers.append(token, text: text, to: &buffer)
    while step(&parts) {}
  }

  mutating func finish(text: [UInt8], to parts: inout AnswerParts) {
    buffer.append(text)
    buffer.isEnded = true
    while step(&parts) {}
    // White space that no marker has taken away; behind calls it is none of the content.
    switch place {
    case .reasoning: writer.write(buffer.read, as: .reasoning, to: &parts)
    case .content: writer.write(buffer.read, as: .content, to: &parts)
    case .beginning, .sectionBegin, .section, .call, .brokenCall: break
    }
    buffer.pass()
  }

  /// Reads on at one place.
  /// - Returns: whether there may be more to read.
  private mutating func step(_ parts: inout AnswerParts) -> Bool {
    switch place {
    case .beginning(let isReasoning): readBeginning(isReasoning: isReasoning, &parts)
    case .reasoning: readReasoning(&parts)
    case .content: readContent(&parts)
    case .sectionBegin: readSectionBegin(&parts)
    case .section: readSection(&parts)
    case .call: readCall(&parts)
    case .brokenCall: readBrokenCall(&parts)
    }
  }

  // MARK: Reasoning and content

  /// The model may begin its reasoning, also where the prompt has begun it already.
  private mutating func readBeginning(isReasoning: Bool, _ parts: inout AnswerParts) -> Bool {
    guard leaveOutSpace() else { return false }
    buffer.skipSpace()
    if buffer.isAtEnd, !buffer.isEnded { return false }
    let begin = syntax.reasoning?.begin ?? []
    switch buffer.matches(begin) {
    case .partly: return false
    case .no:
      buffer.rewind()
      place = isReasoning ? .reasoning : .content
    case .yes:
      writer.write(buffer.read, as: isReasoning ? .reasoning : .content, to: &parts)
      buffer.advance(begin.count)
      buffer.pass()
      leavesOutSpace = true
      place = .beginning(isReasoning: true)
    }
    return true
  }

  private mutating func readReasoning(_ parts: inout AnswerParts) -> Bool {
    guard leaveOutSpace() else { return false }
    let end = passOn(upTo: reasoningEnds, as: .reasoning, syntax.spaceAroundReasoning, &parts)
    guard let end else { return false }
    if end == 0 {
      buffer.advance(reasoningEnds[0].count)
      buffer.pass()
      leavesOutSpace = true
    }
    place = .content
    return true
  }

  private mutating func readContent(_ parts: inout AnswerParts) -> Bool {
    guard leaveOutSpace() else { return false }
    guard let end = passOn(upTo: callBegins, as: .content, tools?.spaceBefore ?? .none, &parts) else { return false }
    begin(end)
    return true
  }

  /// Leaves out white space where a part begins.
  /// - Returns: whether something else has come.
  private mutating func leaveOutSpace() -> Bool {
    guard leavesOutSpace, syntax.spaceAroundReasoning == .lineFeeds else { return true }
    buffer.skipSpace { $0 == UInt8(ascii: "\n") }
    buffer.pass()
    leavesOutSpace = buffer.isAtEnd
    return !leavesOutSpace
  }

  /// Reads and passes on all before the first of `ends`.
  /// - Returns: which of them; nil where none has come.
  private mutating func passOn(
    upTo ends: [[UInt8]], as part: AnswerPart, _ space: AnswerSyntax.Space, _ parts: inout AnswerParts
  ) -> Int? {
    // White space that was kept back is not looked at again.
    let kept = buffer.read.count
    let end = buffer.find(ends)
    let back = space.count(in: buffer.read, behind: kept)
    writer.write(buffer.read.dropLast(back), as: part, to: &parts)
    buffer.pass(buffer.read.count - back)
    guard let end else { return nil }
    if space == .blankLine, back < 2 { writer.write(buffer.read, as: part, to: &parts) }
    buffer.pass()
    return end
  }

  // MARK: Calls

  /// Begins the calls, or one, at the marker of `callBegins` that stands next.
  private mutating func begin(_ marker: Int) {
    if marker == 0 {
      buffer.advance(callBegins[0].count)
      buffer.pass()
      writer.beginCall()
      reader = tools?.calls.reader(parameters)
      place = .call
    } else {
      buffer.advance(callBegins[1].count)
      place = .sectionBegin
    }
  }

  /// The marker belongs to the call behind it, and is a broken one where there is none.
  private mutating func readSectionBegin(_ parts: inout AnswerParts) -> Bool {
    buffer.skipSpace()
    if buffer.isAtEnd, !buffer.isEnded { return false }
    switch buffer.matches(callBegins[0]) {
    case .partly: return false
    case .yes:
      buffer.pass()
      begin(0)
    case .no:
      buffer.rewind(to: callBegins[1].count)
      writer.beginCall()
      writer.write(buffer.read, as: .brokenCall, to: &parts)
      buffer.pass()
      place = .section
    }
    return true
  }

  private mutating func readSection(_ parts: inout AnswerParts) -> Bool {
    guard let end = passOn(upTo: sectionEnds, as: .content, .any, &parts) else { return false }
    if end < callBegins.count {
      begin(end)
    } else {
      buffer.advance(sectionEnds[end].count)
      buffer.pass()
      place = .content
    }
    return true
  }

  private mutating func readCall(_ parts: inout AnswerParts) -> Bool {
    switch reader?.read(&buffer, &writer, &parts) ?? .broken {
    case .unfinished: return false
    case .finished: place = .section
    case .broken:
      // What is read of it is not read again: that would take forever where each of many calls is as long as the rest.
      writer.breakCall(&parts)
      writer.write(buffer.read, as: .brokenCall, to: &parts)
      buffer.pass()
      place = .brokenCall
    }
    return true
  }

  private mutating func readBrokenCall(_ parts: inout AnswerParts) -> Bool {
    guard let end = passOn(upTo: brokenEnds, as: .brokenCall, .none, &parts) else { return false }
    if end == 0 {
      buffer.advance(brokenEnds[0].count)
      writer.write(buffer.read, as: .brokenCall, to: &parts)
      buffer.pass()
    }
    place = .section
    return true
  }
}

extension AnswerSyntax.Space {
  /// How many bytes at the end of `text` are such white space. Of its first `kept` bytes it is known already that they
  /// are, or that there are none.
  fileprivate func count(in text: ArraySlice<UInt8>, behind kept: Int) -> Int {
    let isSpace: (UInt8) -> Bool
    switch self {
    case .none: return 0
    case .blankLine: return min(2, text.reversed().prefix(2).prefix { $0 == UInt8(ascii: "\n") }.count)
    case .lineFeeds: isSpace = { $0 == UInt8(ascii: "\n") }
    case .any: isSpace = AnswerBuffer.isSpace
    }
    let new = text.dropFirst(kept)
    let count = new.count - ((new.lastIndex { !isSpace($0) }).map { $0 + 1 - new.startIndex } ?? 0)
    return count == new.count ? text.count : count
  }
}
