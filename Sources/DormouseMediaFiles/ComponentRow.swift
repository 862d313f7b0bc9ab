/// One component of a row of pixels, 8 bits each: the value of pixel x stands at `start[x * step]`.
struct ComponentRow {
  private let start: UnsafePointer<UInt8>
  private let step: Int

  init(_ start: UnsafePointer<UInt8>, step: Int) {
    self.start = start
    self.step = step
  }

  subscript(x: Int) -> UInt8 { start[x * step] }
}

/// A row [width, 3] of red, green and blue is filled from components as PIL's `convert("RGB")` fills it (its
/// src/libImaging/Convert.c, ConvertYCbCr.c and Unpack.c).
extension UnsafeMutableBufferPointer<UInt8> {
  private var pixelCount: Int { count / 3 }

  /// - Parameter isInverted: whether 0 is white.
  func setGrey(_ grey: ComponentRow, isInverted: Bool = false) {
    let mask: UInt8 = isInverted ? 255 : 0
    for x in 0..<pixelCount { set(x, grey[x] ^ mask, grey[x] ^ mask, grey[x] ^ mask) }
  }

  func setRGB(_ red: ComponentRow, _ green: ComponentRow, _ blue: ComponentRow) {
    for x in 0..<pixelCount { set(x, red[x], green[x], blue[x]) }
  }

  /// - Parameter palette: 256 times red, green, blue.
  func setPalette(_ index: ComponentRow, _ palette: [UInt8]) {
    palette.withUnsafeBufferPointer { palette in
      guard palette.count == 3 * 256 else { return }
      for x in 0..<pixelCount {
        let at = 3 * Int(index[x])
        set(x, palette[at], palette[at + 1], palette[at + 2])
      }
    }
  }

  /// Colours that have been multiplied by alpha become what they were; where nothing is left of them, black.
  func setRGB(_ red: ComponentRow, _ green: ComponentRow, _ blue: ComponentRow, multipliedBy alpha: ComponentRow) {
    for x in 0..<pixelCount {
      let divisor = Int(alpha[x])
      func divided(_ value: UInt8) -> UInt8 { divisor == 0 ? 0 : UInt8(clamping: Int(value) * 255 / divisor) }
      set(x, divided(red[x]), divided(green[x]), divided(blue[x]))
    }
  }

  /// - Parameter isComplement: whether 255 stands for no ink.
  func setCMYK(
    _ cyan: ComponentRow, _ magenta: ComponentRow, _ yellow: ComponentRow, _ black: ComponentRow,
    isComplement: Bool = false
  ) {
    let mask: UInt8 = isComplement ? 255 : 0
    for x in 0..<pixelCount {
      let white = 255 - Int(black[x] ^ mask)
      func shown(_ ink: UInt8) -> UInt8 {
        let product = Int(ink ^ mask) * white + 128
        return UInt8(clamping: white - (((product >> 8) + product) >> 8))
      }
      set(x, shown(cyan[x]), shown(magenta[x]), shown(yellow[x]))
    }
  }

  /// JFIF's luma and chroma, of whole resolution. Factors in 1/64, products rounded as in PIL's tables.
  func setYCbCr(_ luma: ComponentRow, _ blueChroma: ComponentRow, _ redChroma: ComponentRow) {
    func product(_ factor: Double, _ chroma: UInt8) -> Int { Int(factor * 64 * (Double(chroma) - 128) + 0.5) }
    for x in 0..<pixelCount {
      let (y, blue, red) = (Int(luma[x]), blueChroma[x], redChroma[x])
      set(
        x, UInt8(clamping: y + product(1.402, red) >> 6),
        UInt8(clamping: y + (product(-0.34414, blue) + product(-0.71414, red)) >> 6),
        UInt8(clamping: y + product(1.772, blue) >> 6))
    }
  }

  private func set(_ x: Int, _ red: UInt8, _ green: UInt8, _ blue: UInt8) {
    self[3 * x] = red
    self[3 * x + 1] = green
    self[3 * x + 2] = blue
  }
}
