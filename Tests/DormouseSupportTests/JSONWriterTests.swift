import DormouseSupport
import Testing

@Suite struct JSONWriterTests {
  private let value: JSON = [
    "text": "a\"b\\c/\u{1}\u{7F}\u{2028}\u{1F600}", "list": [1, -0.5, true, .null, [], [:]], "empty": [:],
  ]

  @Test func writesCompactly() {
    #expect(
      value.text()
        == "{\"text\":\"a\\\"b\\\\c/\\u0001\u{7F}\u{2028}\u{1F600}\",\"list\":[1,-0.5,true,null,[],{}],\"empty\":{}}")
  }

  @Test func writesLikePython() {
    #expect(JSON.array([1, ["a": "b", "c": .null]]).text(.python) == "[1, {\"a\": \"b\", \"c\": null}]")
  }

  @Test func writesForPeople() {
    let expected = """
      {
        "a": [
          1,
          {
            "b": 2
          }
        ],
        "empty": []
      }
      """
    #expect((["a": [1, ["b": 2]], "empty": []] as JSON).text(.pretty) == expected)
  }

  @Test(arguments: [JSON.Style.compact, .pretty, .python])
  func isReadBackEqual(_ style: JSON.Style) throws {
    #expect(try JSON.parse(value.text(style)) == value)
  }

  @Test func everyControlCharacterIsEscaped() throws {
    for code in UInt8(0)..<0x20 {
      let value = JSON.string(String(UnicodeScalar(code)))
      #expect(value.text().utf8.allSatisfy { $0 >= 0x20 })
      #expect(try JSON.parse(value.text()) == value)
    }
  }

  @Test func numbersKeepTheirValue() throws {
    let numbers = [
      0.1, 1e300, .leastNonzeroMagnitude, -0.0, 1e16, 0x1p63, 123_456_789.123, .greatestFiniteMagnitude, 2.0,
    ]
    for number in numbers {
      let read = try JSON.parse(JSON.number(number).text())
      #expect(read.doubleValue?.bitPattern == number.bitPattern, "\(number)")
    }
    for integer in [Int64.min, -1, 0, .max] {
      #expect(try JSON.parse(JSON.integer(integer).text()) == .integer(integer))
    }
    #expect(JSON.number(.nan).text() == "null" && JSON.number(-.infinity).text() == "null")
  }

  @Test func escapesKeysToo() throws {
    #expect((["a\n\"": 1] as JSON).text() == "{\"a\\n\\\"\":1}")
  }
}

@Suite struct JSONObjectTests {
  @Test func findsAmongManyAsAmongFew() {
    var object = JSONObject()
    for count in 1...20 {
      object["\(count)"] = .integer(Int64(count))
      for key in 1...20 { #expect(object["\(key)"] == (key <= count ? .integer(Int64(key)) : nil)) }
    }
    object["5"] = nil
    object["20"] = "last"
    #expect(object.count == 19 && object["5"] == nil && object["6"] == 6 && object["20"] == "last")
    for key in 1...12 { object["\(key)"] = nil }
    #expect(object.keys == (13...20).map(String.init) && object["13"] == 13 && object["12"] == nil)
    object["e\u{301}"] = 1
    #expect(object["\u{E9}"] == nil && object["e\u{301}"] == 1)
  }

  @Test func keepsOrderThroughChanges() {
    var object = JSONObject(["b": 1, "a": 2, "c": 3])
    object["a"] = 4
    object["b"] = nil
    object["absent"] = nil
    object["d"] = 5
    #expect(object.keys == ["a", "c", "d"] && object.count == 3)
    #expect(Array(object).map(\.value) == [4, 3, 5])
    object["a"] = nil
    object["c"] = nil
    object["d"] = nil
    #expect(object.isEmpty && JSON.object(object).text() == "{}")
  }
}
