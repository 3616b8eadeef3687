#!/usr/bin/perl
# Writes a MaxMind DB file, for tests: mmdb.pl FILE < JSON
#
# JSON: {"ip_version": 6, "record_size": 24, "types": {"iso_code": "utf8_string", "list": "array/uint32"},
#        "networks": {"192.0.2.0/24": {"country": {"iso_code": "XX"}}}}
# A key without a type is a map. Types are those of MaxMind::DB::Writer; a uint128 is a decimal string.
use strict;
use warnings;

use JSON::PP;
use MaxMind::DB::Writer::Tree;
use Math::Int128 qw(uint128);

my ($path) = @ARGV or die "usage: mmdb.pl FILE < JSON\n";
my $wanted = decode_json(do { local $/; <STDIN> });
my $types  = $wanted->{types} || {};

sub type_of {
    my $type = $types->{ $_[0] } || 'map';
    return $type =~ m{^array/(.*)} ? [ 'array', $1 ] : $type;
}

# Numbers of 128 bits are objects.
sub with_wide_numbers {
    my ($value, $key) = @_;
    return { map { $_ => with_wide_numbers($value->{$_}, $_) } keys %$value } if ref $value eq 'HASH';
    return $value if ref $value || type_of($key // '') ne 'uint128';
    return uint128($value);
}

my $tree = MaxMind::DB::Writer::Tree->new(
    ip_version               => $wanted->{ip_version}  || 6,
    record_size              => $wanted->{record_size} || 24,
    database_type            => 'limpet-test',
    languages                => ['en'],
    description              => { en => 'for tests' },
    remove_reserved_networks => 0,
    map_key_type_callback    => \&type_of,
);
# A network within another one comes after it.
sub bits { return $_[0] =~ m{/(\d+)$} ? $1 : 128 }
$tree->insert_network($_, with_wide_numbers($wanted->{networks}{$_}))
    for sort { bits($a) <=> bits($b) || $a cmp $b } keys %{ $wanted->{networks} };

open my $file, '>:raw', "$path.new" or die "$path.new: $!\n";
$tree->write_tree($file);
close $file or die "$path.new: $!\n";
rename "$path.new", $path or die "$path: $!\n";
