import DormouseSupport
import Testing

/// Documents that json-c takes though they are not JSON, or that it changes.
@Suite struct HostileJSONTests {
  @Test(arguments: [
    "nan", "NaN", "-NaN", "Infinity", "-Infinity", "[-]", "[+1]", "[1.]", "[.5]", "[1e]", "[1e+]", "[-01]", "[00]",
    "[0x10]",
    "TRUE", "True", "NULL", "Null", "nul", "tru", "[1,,2]", "[,1]", "{,}", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "{1:2}",
    "{\"a\":1 \"b\":2}", "[1 2]", "]", "}", "[}", "{]", "\"", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12G4\"",
    "[1]]", "{}{}", "// x\n1", "1 // x", "/* x */ 1", "[1/**/]", "['a']", "{\"a\":'b'}", "\u{FEFF}{}", "1e999",
    "[-1e999]",
    "\"a\nb\"", "\"a\tb\"", "\"a\u{1F}\"", "\"a\0b\"", "\0", "{}\0", "{}\0\0", "1\0", "{\"a\u{1}\":1}",
    "\u{A0}1", "\u{B}1", "1\u{C}", "[1,\u{B}2]",
  ])
  func refuses(_ text: String) {
    #expect { try JSON.parse(text) } throws: { ($0 as? Failure)?.status == .malformed }
  }

  @Test(
    arguments: [
      [0xFF], [0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22],
      [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22],
      [0x22, 0xC3, 0x22], [0x22, 0xE2, 0x82, 0x22], [0x22, 0x80, 0x22], [0x22, 0xC3], [0xEF, 0xBB, 0xBF, 0x31],
      [0x22, 0xE0, 0x80, 0x80, 0x22], [0x22, 0xF8, 0x88, 0x80, 0x80, 0x80, 0x22],
    ] as [[UInt8]])
  func refusesInvalidUTF8(_ bytes: [UInt8]) {
    #expect { try JSON.parse(bytes) } throws: { ($0 as? Failure)?.status == .malformed }
  }

  @Test func keysWithNulAreRefusedAndStringsKeepIt() throws {
    #expect(try JSON.parse(#""a\u0000b""#) == "a\0b")
    #expect(try JSON.parse(#"{"a\\u0000":1}"#) == ["a\\u0000": 1])
    for text in [#"{"a\u0000b":1}"#, #"{"\u0000":1}"#, #"[{"\\\u0000" : 1}]"#, #"{"a":{"b\n\u0000":[]}}"#] {
      #expect { try JSON.parse(text) } throws: { "\($0)".contains("NUL") }
    }
  }

  @Test func surrogatesArePairedOrReplaced() throws {
    #expect(try JSON.parse(#""\ud83d\ude00""#) == "\u{1F600}")
    for text in [#""\ud83d""#, #""\ude00""#, #""\ud83dx""#, #""\ud83d\n""#, #""\ud83d\ud83d\ude00""#] {
      let value = try? JSON.parse(text)
      #expect(value == nil || value?.stringValue?.unicodeScalars.contains("\u{FFFD}") == true, "\(text)")
    }
  }

  @Test func numbersBeyondTheirTypeAreNeverClamped() throws {
    let low = try JSON.parse(
      "[-9223372036854775808,-9223372036854775809,-1e30,-99999999999999999999999,-9223372036854775808]")
    #expect(
      low == [
        .integer(.min), .largeInteger("-9223372036854775809"), .number(-1e30),
        .largeInteger("-99999999999999999999999"), .integer(.min),
      ])
    let high = try JSON.parse(
      "[18446744073709551616,18446744073709551615,100000000000000000000000000,18446744073709551614]")
    #expect(
      high == [
        .largeInteger("18446744073709551616"), .largeInteger("18446744073709551615"),
        .largeInteger("100000000000000000000000000"), .largeInteger("18446744073709551614"),
      ])
    let long = String(repeating: "9", count: 400)
    let longest = try JSON.parse("[\(long),-\(long)]")
    #expect(longest == [.largeInteger(long), .largeInteger("-\(long)")])
    #expect(longest.text() == "[\(long),-\(long)]")
    #expect(try JSON.parse("[0,-0,1E2,1e-2]") == [0, 0, 100.0, 0.01])
  }

  @Test func depthIsLimitedExactly() throws {
    let limits = JSON.Limits(depth: 4)
    func nested(_ depth: Int) -> String { String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
    #expect(throws: Never.self) { try JSON.parse(nested(3), limits: limits) }
    #expect(throws: Failure.self) { try JSON.parse(nested(5), limits: limits) }
    #expect(throws: Failure.self) { try JSON.parse("[[1]]", limits: JSON.Limits(depth: 0)) }
    #expect(throws: Failure.self) { try JSON.parse("[[1]]", limits: JSON.Limits(depth: -5)) }
    #expect(throws: Failure.self) { try JSON.parse(nested(1_000_000)) }
  }

  @Test func bytesContainersAndValuesAreLimited() throws {
    #expect { try JSON.parse("[1,2]", limits: JSON.Limits(bytes: 4)) } throws: { "\($0)".contains("limit of 4") }
    let limits = JSON.Limits(containers: 3)
    #expect(try JSON.parse(#"[{"[{[{":1},[]]"#, limits: limits) == [["[{[{": 1], []])
    #expect { try JSON.parse("[[],[],[]]", limits: limits) } throws: { "\($0)".contains("4 arrays and objects") }
    #expect(try JSON.parse("[1,2,3]", limits: JSON.Limits(values: 4)) == [1, 2, 3])
    #expect { try JSON.parse("[1,2,3,4]", limits: JSON.Limits(values: 4)) } throws: { "\($0)".contains("5 values") }
    let flood = "[" + String(repeating: "[],", count: 2_000_000) + "0]"
    #expect { try JSON.parse(flood) } throws: { "\($0)".contains("more than the limit") }
  }

  @Test func duplicatesAreFoundWhateverTheirSpelling() {
    for text in [
      #"{"a":1,"a":1}"#, #"{"a":1,"\u0061":1}"#, #"[{"x":{"":0,"":1}}]"#, #"{"a":{"b":1},"c":[{"d":1,"d":2}]}"#,
    ] {
      #expect { try JSON.parse(text) } throws: { "\($0)".contains("same key twice") }
    }
    #expect(throws: Never.self) { try JSON.parse(#"{"a":{"a":{"a":":"}},"b":[{"a":1},{"a":"a:a"}]}"#) }
  }
}
