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

  @Test func integersBeyondInt64BecomeNumbers() throws {
    let value = try JSON.parse("[9223372036854775807,18446744073709551615]")
    #expect(value == [.integer(.max), .number(0x1p64)])
  }
}
