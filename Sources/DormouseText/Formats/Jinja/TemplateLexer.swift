internal import DormouseSupport

/// A token of a template's source.
struct TemplateToken {
  enum Kind: Equatable {
    case data(TemplateText)
    case blockBegin, blockEnd, variableBegin, variableEnd
    case name(String)
    case text(TemplateText)
    case integer(Int)
    case float(Double)
    case symbol(String)
    case end
  }

  let kind: Kind
  let line: Int
}

/// Cuts a template into tokens exactly as jinja2's lexer does with `trim_blocks` and `lstrip_blocks` on and
/// `keep_trailing_newline` off (jinja2 3.1.6, `lexer.py`).
struct TemplateLexer {
  var source: [Unicode.Scalar]
  var position = 0
  var line = 1
  var tokens: [TemplateToken] = []
  /// Whether the match before `position` ended with a line feed (or nothing came before).
  private var isLineStart = true

  static func tokenize(_ source: String) throws(Failure) -> [TemplateToken] {
    var lexer = TemplateLexer(source: normalizeLineEnds(source))
    try lexer.scanDocument()
    lexer.tokens.append(TemplateToken(kind: .end, line: lexer.line))
    return lexer.tokens
  }

  private init(source: [Unicode.Scalar]) { self.source = source }

  /// All line ends as line feeds, without the last one of the document.
  private static func normalizeLineEnds(_ source: String) -> [Unicode.Scalar] {
    var result: [Unicode.Scalar] = []
    result.reserveCapacity(source.utf8.count)
    var isAfterReturn = false
    for scalar in source.unicodeScalars {
      if scalar == "\r" {
        result.append("\n")
      } else if scalar != "\n" || !isAfterReturn {
        result.append(scalar)
      }
      isAfterReturn = scalar == "\r"
    }
    if result.last == "\n" { result.removeLast() }
    return result
  }

  func failure(_ message: String) -> Failure { Failure(.malformed, "line \(line): \(message)") }

  func character(at offset: Int) -> Unicode.Scalar? { offset < source.count ? source[offset] : nil }

  func starts(with text: String, at offset: Int) -> Bool {
    var index = offset
    for scalar in text.unicodeScalars {
      guard character(at: index) == scalar else { return false }
      index += 1
    }
    return true
  }

  func skipSpaces(from offset: Int) -> Int {
    var index = offset
    while let scalar = character(at: index), scalar.isPythonSpace { index += 1 }
    return index
  }

  /// Moves on to `end`, counting lines.
  mutating func consume(to end: Int) {
    for scalar in source[position..<end] where scalar == "\n" { line += 1 }
    if end > position { isLineStart = source[end - 1] == "\n" }
    position = end
  }

  private mutating func scanDocument() throws(Failure) {
    while position < source.count {
      var begin = position
      while begin < source.count, !isTagBegin(at: begin) { begin += 1 }
      guard begin < source.count else { return appendData(position..<source.count, upTo: source.count) }
      let kind = source[begin + 1]
      let sign = character(at: begin + 2)
      let hasSign = sign == "-" || sign == "+"
      appendData(strip(position..<begin, sign: sign, isVariable: kind == "{"), upTo: begin)
      if kind == "%", let end = rawBegin(after: begin + (hasSign ? 3 : 2)) {
        consume(to: end)
        try scanRaw()
        continue
      }
      consume(to: begin + (hasSign ? 3 : 2))
      switch kind {
      case "#": try scanComment()
      case "%": try scanTag(isVariable: false)
      default: try scanTag(isVariable: true)
      }
    }
  }

  private func isTagBegin(at offset: Int) -> Bool {
    guard source[offset] == "{", let next = character(at: offset + 1) else { return false }
    return next == "%" || next == "{" || next == "#"
  }

  /// The part of the text before a tag that white space control leaves.
  private func strip(_ range: Range<Int>, sign: Unicode.Scalar?, isVariable: Bool) -> Range<Int> {
    var end = range.upperBound
    if sign == "-" {
      while end > range.lowerBound, source[end - 1].isPythonSpace { end -= 1 }
      return range.lowerBound..<end
    }
    if sign == "+" || isVariable { return range }
    while end > range.lowerBound, source[end - 1] != "\n", source[end - 1].isPythonSpace { end -= 1 }
    let isWholeLine = end > range.lowerBound ? source[end - 1] == "\n" : isLineStart
    return isWholeLine ? range.lowerBound..<end : range
  }

  private mutating func appendData(_ range: Range<Int>, upTo end: Int) {
    if !range.isEmpty {
      let text = TemplateText(scalars: Array(source[range]), isMarkup: true)
      tokens.append(TemplateToken(kind: .data(text), line: line))
    }
    consume(to: end)
  }

  /// The end of `raw %}` after the opening characters; nil for any other tag.
  private func rawBegin(after offset: Int) -> Int? {
    var index = skipSpaces(from: offset)
    guard starts(with: "raw", at: index) else { return nil }
    index = skipSpaces(from: index + 3)
    if starts(with: "-%}", at: index) { return skipSpaces(from: index + 3) }
    return starts(with: "%}", at: index) ? index + 2 : nil
  }

  private mutating func scanRaw() throws(Failure) {
    var begin = position
    while begin < source.count {
      if starts(with: "{%", at: begin) {
        let sign = character(at: begin + 2)
        let hasSign = sign == "-" || sign == "+"
        let name = skipSpaces(from: begin + (hasSign ? 3 : 2))
        if starts(with: "endraw", at: name), let end = tagEnd(at: skipSpaces(from: name + 6), mark: "%") {
          appendData(strip(position..<begin, sign: sign, isVariable: false), upTo: begin)
          return consume(to: end)
        }
      }
      begin += 1
    }
    throw failure("missing end of raw directive")
  }

  private mutating func scanComment() throws(Failure) {
    var index = position
    while index < source.count {
      if let end = tagEnd(at: index, mark: "#") { return consume(to: end) }
      index += 1
    }
    throw failure("missing end of comment tag")
  }

  /// The end of the closing characters of a block or comment at `offset`, with the white space they take along.
  private func tagEnd(at offset: Int, mark: String) -> Int? {
    if starts(with: "+\(mark)}", at: offset) { return offset + 3 }
    if starts(with: "-\(mark)}", at: offset) { return skipSpaces(from: offset + 3) }
    guard starts(with: "\(mark)}", at: offset) else { return nil }
    return offset + (character(at: offset + 2) == "\n" ? 3 : 2)
  }

  private func closing(isVariable: Bool) -> Int? {
    guard isVariable else { return tagEnd(at: position, mark: "%") }
    if starts(with: "-}}", at: position) { return skipSpaces(from: position + 3) }
    return starts(with: "}}", at: position) ? position + 2 : nil
  }

  private mutating func scanTag(isVariable: Bool) throws(Failure) {
    tokens.append(TemplateToken(kind: isVariable ? .variableBegin : .blockBegin, line: line))
    var open: [Unicode.Scalar] = []
    while position < source.count {
      if open.isEmpty, let end = closing(isVariable: isVariable) {
        tokens.append(TemplateToken(kind: isVariable ? .variableEnd : .blockEnd, line: line))
        return consume(to: end)
      }
      if source[position].isPythonSpace {
        consume(to: skipSpaces(from: position))
      } else {
        let (kind, end) = try scanToken()
        try balance(kind, &open)
        tokens.append(TemplateToken(kind: kind, line: line))
        consume(to: end)
      }
    }
  }

  private func balance(_ kind: TemplateToken.Kind, _ open: inout [Unicode.Scalar]) throws(Failure) {
    guard case .symbol(let symbol) = kind else { return }
    switch symbol {
    case "(": open.append(")")
    case "[": open.append("]")
    case "{": open.append("}")
    case ")", "]", "}":
      guard let expected = open.popLast() else { throw failure("unexpected '\(symbol)'") }
      guard symbol == String(Character(expected)) else {
        throw failure("unexpected '\(symbol)', expected '\(expected)'")
      }
    default: break
    }
  }
}
