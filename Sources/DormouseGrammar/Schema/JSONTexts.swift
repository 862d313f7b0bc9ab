import DormouseSupport

/// The texts of JSON values, as regular languages.
struct JSONTexts {
  let expressions: Expressions
  let options: SchemaOptions
  /// What may stand between two tokens.
  let whitespace: ExpressionID
  /// Of one character within a string's quotes.
  let characters: JSONStringEncoding
  /// A string, with its quotes.
  let anyString: ExpressionID
  /// A number, with or without an exponent.
  let anyNumber: ExpressionID
  /// A number without one.
  let plainNumber: ExpressionID
  /// A number whose value is whole.
  let integer: ExpressionID
  /// One that is also written without a fraction: what draft 4 calls an integer.
  let digits: ExpressionID
  private let anyBody: ExpressionID

  init(_ expressions: Expressions, _ options: SchemaOptions) throws(Failure) {
    self.expressions = expressions
    self.options = options
    characters = JSONStringEncoding(takesAllEscapes: options.form == .any)
    let spaces = [0x20, 0x09, 0x0A, 0x0D].reduce(ByteSet()) { $0.union(ByteSet($1)) }
    whitespace = options.form == .any ? expressions.any(expressions.bytes(spaces)) : Expressions.empty
    anyBody = expressions.any(characters.expression(.all, expressions))
    let quote = expressions.bytes(ByteSet(0x22))
    anyString = expressions.concatenation([quote, anyBody, quote])
    func parse(_ pattern: String) throws(Failure) -> ExpressionID {
      try RegularExpression.parse(pattern).language(isWhole: true, expressions, UTF8Encoding())
    }
    plainNumber = try parse("-?(0|[1-9][0-9]*)(\\.[0-9]+)?")
    anyNumber = try parse("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")
    digits = try parse("-?(0|[1-9][0-9]*)")
    integer = options.form == .any ? try parse("-?(0|[1-9][0-9]*)(\\.0+)?") : digits
  }

  // MARK: - Strings

  func string(_ text: String) -> ExpressionID {
    quoted(
      expressions.concatenation(
        text.unicodeScalars.map { characters.expression(ScalarSet($0), expressions) }))
  }

  /// Strings whose text is one of a language that was made with `characters`.
  func quoted(_ body: ExpressionID) -> ExpressionID {
    let quote = expressions.bytes(ByteSet(0x22))
    return expressions.concatenation([quote, body, quote])
  }

  /// Strings of so many characters.
  func string(minimum: Int, maximum: Int?) -> ExpressionID {
    quoted(
      expressions.repetition(
        characters.expression(.all, expressions), Int32(clamping: minimum),
        maximum.map { Int32(clamping: $0) } ?? Expressions.unlimited))
  }

  /// Strings in which a pattern is found.
  func string(pattern: String, isWhole: Bool = false) throws(Failure) -> ExpressionID {
    let language = try RegularExpression.parse(pattern).language(isWhole: isWhole, expressions, characters)
    return quoted(expressions.intersection([language, anyBody]))
  }

  /// All strings that are none of these.
  func otherStrings(than strings: ExpressionID) -> ExpressionID {
    expressions.alive(expressions.intersection([anyString, expressions.complement(strings)]))
  }

  // MARK: - Numbers

  /// A number's value, in whatever way it may be written.
  func number(_ value: Decimal) -> ExpressionID {
    let digits = value.integer + (value.fraction.isEmpty ? "" : "." + value.fraction)
    var parts = [expressions.literal(digits.utf8)]
    if options.form == .any {
      let zeros = expressions.repetition(expressions.bytes(ByteSet(0x30)), 1, Expressions.unlimited)
      let point = value.fraction.isEmpty ? expressions.literal([0x2E]) : Expressions.empty
      parts.append(expressions.optional(expressions.concatenation(point, zeros)))
    }
    let magnitude = expressions.concatenation(parts)
    let minus = expressions.literal([0x2D])
    if value.isZero && options.form == .any {
      return expressions.concatenation(expressions.optional(minus), magnitude)
    }
    return value.isNegative ? expressions.concatenation(minus, magnitude) : magnitude
  }

  func otherNumbers(than numbers: ExpressionID) -> ExpressionID {
    expressions.alive(expressions.intersection([plainNumber, expressions.complement(numbers)]))
  }

  /// Numbers at or above a limit; without exponents.
  func numbers(from limit: Decimal, isExclusive: Bool) -> ExpressionID {
    let minus = expressions.literal([0x2D])
    guard limit.isNegative else {
      let above = magnitudes(from: limit, isExclusive: isExclusive)
      guard limit.isZero, !isExclusive else { return above }
      return expressions.union([above, expressions.concatenation(minus, magnitudes(upTo: limit, isExclusive: false))])
    }
    let below = magnitudes(upTo: limit.magnitude, isExclusive: isExclusive)
    return expressions.union([allMagnitudes, expressions.concatenation(minus, below)])
  }

  func numbers(upTo limit: Decimal, isExclusive: Bool) -> ExpressionID {
    let above = numbers(from: limit, isExclusive: !isExclusive)
    return otherNumbers(than: above)
  }

  private var allMagnitudes: ExpressionID {
    expressions.intersection([
      plainNumber,
      expressions.complement(expressions.concatenation(expressions.literal([0x2D]), expressions.everything)),
    ])
  }

  private func magnitudes(upTo limit: Decimal, isExclusive: Bool) -> ExpressionID {
    expressions.alive(
      expressions.intersection([
        allMagnitudes, expressions.complement(magnitudes(from: limit, isExclusive: !isExclusive)),
      ]))
  }

  /// Numbers without a sign at or above one without: by the length of their integer part, then digit by digit.
  private func magnitudes(from limit: Decimal, isExclusive: Bool) -> ExpressionID {
    let digit = expressions.bytes(ByteSet(0x30...0x39))
    let nonzero = expressions.bytes(ByteSet(0x31...0x39))
    let digits = expressions.any(digit)
    let fraction = expressions.optional(
      expressions.concatenation([expressions.literal([0x2E]), digit, digits]))
    let integer = Array(limit.integer.utf8)
    let decimals = Array(limit.fraction.utf8)
    var parts = [
      expressions.concatenation([
        nonzero, expressions.repetition(digit, Int32(clamping: integer.count), Int32(clamping: integer.count)), digits,
        fraction,
      ])
    ]
    for place in integer.indices where integer[place] < 0x39 {
      let count = Int32(clamping: integer.count - place - 1)
      parts.append(
        expressions.concatenation([
          expressions.literal(integer[..<place]), expressions.bytes(ByteSet(integer[place] + 1...0x39)),
          expressions.repetition(digit, count, count), fraction,
        ]))
    }
    let point = expressions.literal(integer + [0x2E])
    for place in decimals.indices where decimals[place] < 0x39 {
      parts.append(
        expressions.concatenation([
          point, expressions.literal(decimals[..<place]), expressions.bytes(ByteSet(decimals[place] + 1...0x39)),
          digits,
        ]))
    }
    // The integer part and all decimals are equal: more decimals follow, or not.
    let more = expressions.concatenation([digits, nonzero, digits])
    let equal = expressions.concatenation([point, expressions.literal(decimals)])
    if isExclusive {
      parts.append(expressions.concatenation(equal, more))
    } else if decimals.isEmpty {
      parts.append(expressions.concatenation(expressions.literal(integer), fraction))
    } else {
      parts.append(expressions.concatenation(equal, digits))
    }
    return expressions.intersection([plainNumber, expressions.union(parts)])
  }

  /// Numbers that are a whole number of times `divisor`: a whole number itself, or a negative power of ten.
  func multiples(of divisor: Decimal) throws(Failure) -> ExpressionID? {
    let zeros = expressions.any(expressions.bytes(ByteSet(0x30)))
    let digit = expressions.bytes(ByteSet(0x30...0x39))
    let minus = expressions.optional(expressions.literal([0x2D]))
    if divisor.fraction.isEmpty, let modulus = Int32(divisor.integer), (1...100_000).contains(modulus) {
      let whole = expressions.concatenation([
        minus, expressions.multiple(of: modulus),
        expressions.optional(expressions.concatenation([expressions.literal([0x2E]), zeros])),
      ])
      return expressions.intersection([plainNumber, whole])
    }
    guard divisor.integer == "0", divisor.fraction.last == "1", divisor.fraction.dropLast().allSatisfy({ $0 == "0" })
    else { return nil }
    let decimals = expressions.concatenation([
      expressions.repetition(digit, 0, Int32(clamping: divisor.fraction.count)), zeros,
    ])
    return expressions.intersection([
      plainNumber,
      expressions.concatenation([
        minus, expressions.repetition(digit, 1, Expressions.unlimited),
        expressions.optional(expressions.concatenation(expressions.literal([0x2E]), decimals)),
      ]),
    ])
  }
}
