"""Pixels: decoding, quality, preprocessing, fingerprints and overlays. Light imports only: the web process uses this
package.
"""
