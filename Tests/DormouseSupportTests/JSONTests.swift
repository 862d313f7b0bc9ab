import DormouseSupport
import Testing

@Suite struct JSONTests {
  @Test func keepsOrderTypesAndText() throws {
    let value = try JSON.parse(#"{"b": [1, 2.5, true, null], "a": {"é": "x\u0000y\n"}}"#)
    #expect(value.objectValue?.keys == ["b", "a"])
    #expect(value["b"] == [1, 2.5, true, .null])
    #expect(value["a"]?["é"] == "x\0y\n")
    #expect(value.text() == "{\"b\":[1,2.5,true,null],\"a\":{\"é\":\"x\\u0000y\\n\"}}")
  }

  @Test(arguments: [
    "", "{", "{}x", "[1,]", "{'a':1}", "{\"a\":NaN}", "[Infinity]", "{\"a\":1,\"a\":2}", "[\"\u{01}", "[01]",
    String(repeating: "[", count: 100) + String(repeating: "]", count: 100), "/* */ {}",
  ])
  func refuses(_ text: String) {
    #expect { try JSON.parse(text) } throws: { ($0 as? Failure)?.status == .malformed }
  }

  @Test func namesTheDuplicateKey() {
    #expect { try JSON.parse(#"{"x":{"k:\"":1,"k:\"":2}}"#) } throws: { "\($0)".contains("same key twice") }
  }

  @Test func tellsCanonicallyEquivalentKeysApart() throws {
    let value = try JSON.parse("{\"\u{E9}\":1,\"e\u{301}\":2}")
    #expect(value["\u{E9}"] == 1)
    #expect(value["e\u{301}"] == 2)
  }

  @Test func integersBeyondInt64KeepTheirDigits() throws {
    let text = "[9223372036854775807,9223372036854775808,18446744073709551615,-9223372036854775809]"
    let value = try JSON.parse(text)
    #expect(
      value == [
        .integer(.max), .largeInteger("9223372036854775808"), .largeInteger("18446744073709551615"),
        .largeInteger("-9223372036854775809"),
      ])
    #expect(value.text() == text)
    let largest = try #require(value.arrayValue?[2])
    #expect(largest.doubleValue == 0x1p64 && largest.integerValue == nil && largest.typeName == "an integer")
    #expect(JSON.largeInteger(String(repeating: "9", count: 400)).doubleValue == nil)
  }

  @Test func theirDigitsAreLimited() throws {
    let digits = String(repeating: "1", count: 4300)
    #expect(try JSON.parse("[\(digits)]") == [.largeInteger(digits)])
    #expect(throws: Failure(.malformed, "a[1]: the integer has 4301 characters, more than the limit of 4300")) {
      try JSON.parse("{\"a\": [\(digits), 1\(digits)]}")
    }
  }

  @Test func fieldsRefuseThemShortly() throws {
    let digits = String(repeating: "7", count: 1000)
    let fields = try JSONFields(JSON.parse("{\"width\": \(digits)}"), file: "config.json")
    #expect { try fields.integer("width", 1...9) } throws: { error in
      "\(error)".hasPrefix("config.json: width is 7777") && "\(error)".count < 200
    }
  }

  @Test(arguments: [
    (#"{"unrelated": Infinity}"#, "unrelated: the number is not finite; JSON has no NaN and no Infinity"),
    (#"{"rope": {"b": 1, "factors": [1, {"x": NaN}]}}"#, "rope.factors[1].x: the number is not finite"),
    (#"[[0, 1e999]]"#, "[0][1]: the number is not finite"), ("Infinity", "the document: the number is not finite"),
    (#"{"a": {"use_cache": true, "use_cache": true}}"#, "holds the same key twice: 'use_cache'"),
  ])
  func namesTheMemberThatPythonAloneReads(_ text: String, _ sentence: String) {
    #expect { try JSON.parse(text) } throws: { "\($0)".contains(sentence) }
  }
}
