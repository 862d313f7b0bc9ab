import CDormouse
import DormouseBoundary
import DormouseEngine
import DormouseGrammar
import DormouseSupport

@_cdecl("dormouse_constraint_create") @implementation
public func dormouse_constraint_create(
  _ out: UnsafeMutablePointer<OpaquePointer?>!, _ engine: OpaquePointer!, _ config_json: UnsafePointer<CChar>!,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let out = try require(out, "out")
    out.pointee = nil
    let engine = try Handle.object(engine, Engine.self, "engine")
    out.pointee = Handle.make(try engine.makeConstraint(try readString(config_json, "config_json")))
  }
}

@_cdecl("dormouse_constraint_create_for_vocabulary") @implementation
public func dormouse_constraint_create_for_vocabulary(
  _ out: UnsafeMutablePointer<OpaquePointer?>!, _ bytes: UnsafePointer<UInt8>!, _ offsets: UnsafePointer<Int>!,
  _ token_count: Int, _ end_tokens: UnsafePointer<Int32>!, _ end_token_count: Int,
  _ config_json: UnsafePointer<CChar>!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let out = try require(out, "out")
    out.pointee = nil
    let tokens = try readTokens(bytes, offsets, token_count)
    let endTokens = try readArray(end_tokens, end_token_count, "end_tokens")
    for (index, token) in endTokens.enumerated() where token < 0 || Int(token) >= token_count {
      throw Failure(
        .invalidArgument, "end_tokens[\(index)] is \(token), not an id of the vocabulary of \(token_count)")
    }
    let configuration = try JSONFields(argument: try readString(config_json, "config_json"), name: "config_json")
    out.pointee = Handle.make(
      try Constraint(configuration, vocabulary: try GrammarVocabulary(tokens), endTokens: endTokens))
  }
}

/// The bytes of each token: those from its offset to the next.
private func readTokens(
  _ bytes: UnsafePointer<UInt8>?, _ offsets: UnsafePointer<Int>?, _ count: Int
) throws(Failure) -> [[UInt8]] {
  guard (1...1 << 24).contains(count) else {
    throw Failure(.invalidArgument, "token_count is \(UInt(bitPattern: count)); expected 1 to \(1 << 24)")
  }
  let offsets = try readArray(offsets, count + 1, "offsets")
  var tokens: [[UInt8]] = []
  tokens.reserveCapacity(count)
  for index in 0..<count {
    guard offsets[index] >= 0, offsets[index] <= offsets[index + 1] else {
      throw Failure(.invalidArgument, "offsets[\(index + 1)] is \(offsets[index + 1]), less than the one before")
    }
    let length = offsets[index + 1] - offsets[index]
    let token =
      length > 0 ? UnsafeBufferPointer(start: try require(bytes, "bytes") + offsets[index], count: length) : nil
    tokens.append(token.map { Array($0) } ?? [])
  }
  return tokens
}

@_cdecl("dormouse_constraint_clone") @implementation
public func dormouse_constraint_clone(
  _ out: UnsafeMutablePointer<OpaquePointer?>!, _ constraint: OpaquePointer!,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let out = try require(out, "out")
    out.pointee = nil
    out.pointee = Handle.make(try Handle.object(constraint, Constraint.self, "constraint").clone())
  }
}

@_cdecl("dormouse_constraint_free") @implementation
public func dormouse_constraint_free(_ constraint: OpaquePointer!) { Handle.free(constraint) }

@_cdecl("dormouse_constraint_allowed") @implementation
public func dormouse_constraint_allowed(
  _ mask: UnsafeMutablePointer<UInt32>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!,
  _ constraint: OpaquePointer!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let constraint = try Handle.object(constraint, Constraint.self, "constraint")
    let words = (constraint.tokenCount + 31) / 32
    let count = try require(count, "the pointer for the size of the mask")
    count.pointee = words
    try checkRoom(words, mask, capacity, "the mask")
    let allowed = try constraint.allowed()
    allowed.words.withUnsafeBufferPointer { source in
      if let base = source.baseAddress { mask?.update(from: base, count: source.count) }
    }
  }
}

@_cdecl("dormouse_constraint_accept") @implementation
public func dormouse_constraint_accept(
  _ constraint: OpaquePointer!, _ tokens: UnsafePointer<Int32>!, _ token_count: Int,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let constraint = try Handle.object(constraint, Constraint.self, "constraint")
    try constraint.accept(try readArray(tokens, token_count, "tokens"))
  }
}

@_cdecl("dormouse_constraint_rewind") @implementation
public func dormouse_constraint_rewind(
  _ constraint: OpaquePointer!, _ token_count: Int, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    try Handle.object(constraint, Constraint.self, "constraint").rewind(token_count)
  }
}

@_cdecl("dormouse_constraint_forced") @implementation
public func dormouse_constraint_forced(
  _ tokens: UnsafeMutablePointer<Int32>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!,
  _ constraint: OpaquePointer!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let constraint = try Handle.object(constraint, Constraint.self, "constraint")
    let count = try require(count, "the pointer for the number of tokens")
    let room = try readArray(tokens, capacity, "tokens").count
    let forced = try constraint.forced(limit: room)
    count.pointee = forced.count
    for (index, token) in forced.enumerated() { tokens?[index] = token }
  }
}

@_cdecl("dormouse_constraint_is_complete") @implementation
public func dormouse_constraint_is_complete(
  _ is_complete: UnsafeMutablePointer<Int32>!, _ constraint: OpaquePointer!,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let constraint = try Handle.object(constraint, Constraint.self, "constraint")
    try require(is_complete, "is_complete").pointee = constraint.isComplete ? 1 : 0
  }
}
