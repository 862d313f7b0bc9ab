import CDormouse
import DormouseBoundary
import DormouseSupport

@_cdecl("dormouse_json_quote") @implementation
public func dormouse_json_quote(
  _ buffer: UnsafeMutablePointer<CChar>!, _ capacity: Int, _ length: UnsafeMutablePointer<Int>!,
  _ text: UnsafePointer<CChar>!, _ text_length: Int, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let text = UnsafeRawBufferPointer(try readArray(text, text_length, "text"))
    // A standard decoding replaces each maximal invalid part, as the tokenizer does.
    let quoted = JSON.string(String(decoding: text, as: UTF8.self)).text()
    try deliver(text: Array(quoted.utf8), buffer, capacity, length)
  }
}
